# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for HAProxy by which it shows a renewed certificate without a reload, so that no connection ends for it."""

from __future__ import annotations

from string import Template

FILE = "certificates.lua"
# HAProxy's own, by which alone it looks whether a key belongs to its certificate. It is seen inside of the pod only.
SOCKET = "abns@certificates"
# Seconds between two looks at the files, which the kubelet writes anew about a minute after the Secret was changed
INTERVAL = 5


def lua(certificate: str) -> str:
    """The program that loads the file ``certificate`` (NAME.crt, its key beside it in NAME.key) when it was changed.

    It is as HAProxy's configuration has it at ``crt``; the configuration has SOCKET as ``stats socket`` with the level
    admin.
    """
    return _LUA.substitute(certificate=certificate, socket=SOCKET, interval=INTERVAL)


_LUA = Template("""\
-- Loads a certificate that was renewed. What cannot be loaded is told once, and the one before stays.
local CERTIFICATE = "$certificate"
local KEY = CERTIFICATE:gsub("%.crt$$", ".key")

local function content(path)
  local file = assert(io.open(path))
  local text = assert(file:read("a"))
  file:close()
  return text
end

-- Nothing while both are being exchanged: they belong together.
local function pair()
  local certificate, key = content(CERTIFICATE), content(KEY)
  return content(CERTIFICATE) == certificate and certificate .. "\\n" .. key or nil
end

local function command(text)
  local socket = core.tcp()
  socket:settimeout(10)
  local sent = socket:connect("$socket") and socket:send(text .. "\\n")
  if not sent then error("HAProxy does not answer at $socket", 0) end
  local answer = socket:receive("*a")
  socket:close()
  return answer or ""
end

local function load(pem)
  -- An empty line is the end, so there is none before it.
  local lines = ("\\n" .. pem):gsub("%s*\\n%s*", "\\n")
  local set = command("set ssl cert " .. CERTIFICATE .. " <<" .. lines .. "\\n")
  local committed = command("commit ssl cert " .. CERTIFICATE)
  if not committed:find("Success!", 1, true) then
    command("abort ssl cert " .. CERTIFICATE)
    error(set .. committed, 0)
  end
end

-- HAProxy itself reads them after this.
local last = pair()

core.register_task(function()
  while true do
    core.sleep($interval)
    local fine, found = pcall(pair)
    if fine and found and found ~= last then
      last = found
      local loaded, problem = pcall(load, found)
      core.Warning(loaded and "the certificate was renewed" or "the renewed certificate is not used: " .. problem)
    end
  end
end)
""")
