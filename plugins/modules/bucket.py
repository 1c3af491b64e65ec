#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bucket
short_description: An S3 bucket for Thanos exists and is proven to work, or does not exist
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Creates or deletes a bucket of any S3 store, such as Ceph RGW, Swift with its S3 interface, MinIO, versitygw or AWS.
  - With O(state=present) a preflight writes, reads, lists and deletes one small object below
    C(.scs-observability-preflight/) in every run, reads the first byte of an object that was there before, and compares
    the clocks, because Thanos would find a fault only hours later. It is not reported as a change. In check mode it
    lists and reads only.
  - Returns the configuration that Thanos takes as C(objstore.config), without credentials, so that it can be
    registered, shown and stored as a fact. M(scs.observability.thanos_component) takes it together with the
    credentials and puts both into a Secret.
  - With O(cloud) or O(auth) the endpoint is the one in the catalog of an OpenStack cloud, and the keys are an EC2
    credential that Keystone makes for the user in the project. One that is there and that the store accepts is used, so
    there is one for all that this user does in the project, unless others are made. The same goes for the environment
    (E(OS_CLOUD) or E(OS_AUTH_URL)) when neither endpoint nor keys are given.
  - Keystone tells neither how old a credential is nor what it is for. So the bucket remembers the access keys that it
    was used with, in the object C(.scs-observability/credentials.json), over which Thanos passes, and which of
    them were made for it.
  - The secret is never returned. P(scs.observability.ec2_credential#lookup) reads it at the moment of its use.
requirements:
  - botocore, which comes with boto3
  - openstacksdk 4.5 or newer, for O(cloud) and O(auth)
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.openstack
options:
  name:
    description:
      - Name of the bucket, by the rules of S3.
      - Most stores have one space of names for all their users.
    type: str
    required: true
  endpoint:
    description:
      - URL of the store, V(https) or V(http), host, and port if it is not the default one. No path.
      - Swift's S3 interface needs V(https), because uploads of Thanos fail there without TLS.
      - Required without O(cloud) and O(auth). With them it replaces the one of the catalog, which is the one of type
        C(s3) or else C(object-store), reduced to scheme, host and port.
    type: str
  region:
    description:
      - The store's region.
      - With the default, a bucket is created where the store creates buckets by default.
    type: str
    default: us-east-1
  access_key:
    description:
      - The access key. It names a key, like a user name, and is not hidden in logs.
      - If not set, the environment variable E(AWS_ACCESS_KEY_ID) is used.
      - With O(cloud) or O(auth) it says which of the user's EC2 credentials is used. If not set, the one that the
        bucket was used with last, or else the first one that the store accepts.
    type: str
  secret_key:
    description:
      - The secret key.
      - If not set, the environment variable E(AWS_SECRET_ACCESS_KEY) is used. Excluded by O(cloud) and O(auth).
    type: str
  ca_path:
    description:
      - File, where the module runs, with the certificate (PEM) of the authority that signed the store's certificate.
      - Excludes O(ca_content). With neither, the authorities are trusted that botocore trusts, see E(AWS_CA_BUNDLE).
    type: path
  ca_content:
    description:
      - Same as O(ca_path), as text.
    type: str
  validate_certs:
    description:
      - Whether the store's certificate must be valid. V(false) lets anybody between here and there read everything.
    type: bool
    default: true
  addressing_style:
    description:
      - Whether the bucket is in the path of a URL or in the name of the host.
      - V(virtual) needs DNS names and certificates for each bucket.
    type: str
    choices: [path, virtual]
    default: path
  tags:
    description:
      - The bucket's tags, exactly these; V({}) removes all. Tags that begin with C(aws:) are the store's own and stay.
      - If not set, tags are left alone. Refused on a store that has no tags, such as Swift.
    type: dict
  versioning:
    description:
      - Whether the bucket keeps old versions of objects. Thanos never reads them, and deletes blocks itself; without a
        lifecycle rule that removes old versions the bucket only grows.
      - If not set, this is left alone. Refused on a store that cannot keep versions.
    type: bool
  state:
    description:
      - V(present) creates the bucket unless it is there.
      - V(absent) deletes it. A bucket that holds anything is refused unless O(force=true), and one that a compactor
        works on unless O(force_claimed=true) as well.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), delete all objects, all their versions and unfinished uploads with the bucket.
      - This cannot be undone.
    type: bool
    default: false
  force_claimed:
    description:
      - With O(force=true), delete the bucket also when a compactor has claimed it, of this observer or another one.
      - Not needed where M(scs.observability.thanos_component) removed the compactor, which gives the bucket free.
    type: bool
    default: false
  rotate_credentials:
    description:
      - Have Keystone make another EC2 credential and prove it. The previous one stays good until O(revoke_credentials)
        names it, so Thanos can take the new one first.
      - While there is a previous one of this bucket none is made, so a run that was interrupted can be repeated.
      - Needs O(cloud) or O(auth).
    type: bool
    default: false
  revoke_credentials:
    description:
      - Access keys of EC2 credentials of the user for the project that are deleted, after the one in use is proven.
        That one is refused; those that are gone already are passed over.
      - Needs O(cloud) or O(auth).
    type: list
    elements: str
  remove_credentials:
    description:
      - With O(state=absent), delete the EC2 credentials, too, that this module had made for the bucket, the one of a
        rotation included. Leave it out when something else uses them.
      - Those stay, and a warning names them, that were there before the bucket was used with them, and those that this
        module uses another bucket of the project in the same store with. O(revoke_credentials) deletes them, also with
        O(state=absent).
      - Needs O(cloud) or O(auth).
    type: bool
    default: false
notes:
  - Empty strings are the same as parameters that are not set.
  - Where Keystone has no credential of the user for the project, O(state=absent) makes one to look with, and deletes it
    again. Check mode does not, so it cannot tell whether the bucket is there, and says so in a warning.
seealso:
  - plugin: scs.observability.ec2_credential
    plugin_type: lookup
  - module: scs.observability.thanos_component
"""

EXAMPLES = r"""
- name: A bucket for the observer
  scs.observability.bucket:
    name: thanos
    endpoint: https://s3.example.com
    ca_path: /etc/ssl/certs/s3-authority.crt
    access_key: "{{ s3_access_key }}"
    secret_key: "{{ s3_secret_key }}"
  register: bucket

- name: Thanos' store gateway on it
  scs.observability.thanos_component:
    component: store
    objstore: "{{ bucket.objstore }}"
    objstore_ca: "{{ bucket.objstore_ca }}"
    objstore_access_key: "{{ s3_access_key }}"
    objstore_secret_key: "{{ s3_secret_key }}"

- name: A bucket in another region, with credentials of the environment
  scs.observability.bucket:
    name: thanos
    endpoint: https://s3.eu-central-1.amazonaws.com
    region: eu-central-1
  environment:
    AWS_ACCESS_KEY_ID: "{{ s3_access_key }}"
    AWS_SECRET_ACCESS_KEY: "{{ s3_secret_key }}"

- name: New credentials are proven, without writing anything, before Thanos gets them
  scs.observability.bucket:
    name: thanos
    endpoint: https://s3.example.com
    ca_path: /etc/ssl/certs/s3-authority.crt
    access_key: "{{ s3_new_access_key }}"
    secret_key: "{{ s3_new_secret_key }}"
  check_mode: true

- name: A bucket in an OpenStack cloud, with credentials that Keystone makes
  scs.observability.bucket:
    name: thanos
    cloud: observer
  register: bucket

- name: Thanos' store gateway on it, with the secret read where it is used
  scs.observability.thanos_component:
    component: store
    objstore: "{{ bucket.objstore }}"
    objstore_ca: "{{ bucket.objstore_ca }}"
    objstore_access_key: "{{ bucket.access_key }}"
    objstore_secret_key: "{{ lookup('scs.observability.ec2_credential', bucket.access_key, cloud='observer') }}"

- name: Another credential, proven; the one before is still good
  scs.observability.bucket:
    name: thanos
    cloud: observer
    rotate_credentials: true
  register: rotated

- name: When all of Thanos has taken it (as above), away with the one before
  scs.observability.bucket:
    name: thanos
    cloud: observer
    revoke_credentials: "{{ rotated.previous_access_keys }}"

- name: Away with the bucket, all metrics in it, and its credentials
  scs.observability.bucket:
    name: thanos
    auth:
      auth_url: https://keystone.example.com:5000/v3
      username: observer
      password: "{{ keystone_password }}"
      project_name: observability
      user_domain_name: Default
      project_domain_name: Default
    state: absent
    force: true
    remove_credentials: true

- name: Away with the bucket and all metrics in it
  scs.observability.bucket:
    name: thanos
    endpoint: https://s3.example.com
    ca_path: /etc/ssl/certs/s3-authority.crt
    access_key: "{{ s3_access_key }}"
    secret_key: "{{ s3_secret_key }}"
    state: absent
    force: true
"""

RETURN = r"""
name:
  description: Name of the bucket.
  returned: success
  type: str
  sample: thanos
changes:
  description: What was changed, or in check mode would be. O(tags) and O(versioning) are part of the bucket.
  returned: success
  type: list
  elements: str
  sample: ["create S3 Bucket thanos"]
endpoint:
  description: URL of the store, as given or as the catalog has it.
  returned: success
  type: str
  sample: https://s3.example.com
access_key:
  description:
    - Access key of the EC2 credential that the bucket is used with. Its secret is not returned, see
      P(scs.observability.ec2_credential#lookup).
    - Empty in check mode when none is there yet.
  returned: when O(state=present), with O(cloud) or O(auth)
  type: str
  sample: 5d2f8c1b0e9a4f6d8c7b6a5948372615
previous_access_keys:
  description:
    - Access keys of EC2 credentials that the bucket was used with before and that still exist, for
      O(revoke_credentials) when nothing uses them any more.
  returned: when O(state=present), with O(cloud) or O(auth)
  type: list
  elements: str
  sample: []
objstore:
  description:
    - Configuration of the bucket as Thanos takes it, without C(access_key) and C(secret_key), which do not belong into
      results.
    - For a store that knows only the first version of S3's listing it has C(list_objects_version).
    - If an authority is given, Thanos expects its certificate in the file that is named there.
      M(scs.observability.thanos_component) puts it there.
  returned: when O(state=present)
  type: dict
  sample:
    type: S3
    config:
      bucket: thanos
      endpoint: s3.example.com
      region: us-east-1
      insecure: false
      bucket_lookup_type: path
      http_config:
        tls_config:
          ca_file: /etc/thanos/objstore/ca.crt
objstore_ca:
  description: Certificate (PEM) of the store's authority as given with O(ca_path) or O(ca_content), or empty.
  returned: when O(state=present)
  type: str
preflight:
  description: What was proven.
  returned: when O(state=present)
  type: dict
  contains:
    write:
      description: An object was written. None in check mode.
      type: bool
    read:
      description: What was read is what was written. None in check mode.
      type: bool
    list:
      description:
        - The object was found in a listing. In check mode the bucket could be listed; None if there is no bucket yet.
      type: bool
    delete:
      description: The object was deleted. None in check mode.
      type: bool
    read_existing:
      description:
        - An object that was there before could be read. In some stores an object belongs to the user who wrote it, so
          new credentials can be good for a bucket and not for the blocks in it.
        - None if there was no such object.
      type: bool
    clock_skew_seconds:
      description:
        - By how many seconds the store's clock is ahead of the one where the module runs, negative if behind. More than
          300 either way is an error.
        - None if the store does not tell its time.
      type: int
      sample: 0
    skipped:
      description: The steps that were not tried, as in check mode.
      type: list
      elements: str
      sample: []
deleted:
  description: What was deleted with the bucket.
  returned: when a bucket was deleted, not in check mode
  type: dict
  contains:
    objects:
      description: Number of objects; in a bucket with versions, of versions and delete markers.
      type: int
      sample: 42
    uploads:
      description: Number of unfinished uploads.
      type: int
      sample: 0
error:
  description:
    - Kind of the error, for example V(input_error) for a parameter that was refused before anything was touched,
      V(storage_error) for an answer of the store, or V(cloud_error) for one of Keystone.
  returned: failure
  type: str
  sample: storage_error
parameter:
  description: The parameter to look at.
  returned: failure, if one is to blame
  type: str
  sample: secret_key
code:
  description:
    - S3's error code, or C(TlsAuthority), C(TlsName), C(NameResolution), C(ConnectionRefused), C(Timeout) and such.
  returned: failure of a request
  type: str
  sample: SignatureDoesNotMatch
operation:
  description: The S3 operation that failed.
  returned: failure of a request
  type: str
  sample: ListObjectsV2
left_behind:
  description: Access keys of EC2 credentials that should have been deleted, and are still there.
  returned: failure of a request to Keystone, if there are some
  type: list
  elements: str
  sample: []
wanted:
  description: What was attempted.
  returned: failure of a request
  type: str
  sample: list the objects
found:
  description: What was found instead.
  returned: failure of a request
  type: str
  sample: the store does not know this access key
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import OPENSTACK
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._openstack.bucket import ensure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            **OPENSTACK,
            "endpoint": {"type": "str"},
            "region": {"type": "str", "default": "us-east-1"},
            # Names a key. Hidden, it would also be blotted out where it is part of the name of the bucket.
            "access_key": {"type": "str", "no_log": False},
            "secret_key": {"type": "str", "no_log": True},
            "ca_path": {"type": "path"},
            "ca_content": {"type": "str"},
            "validate_certs": {"type": "bool", "default": True},
            "addressing_style": {"type": "str", "choices": ["path", "virtual"], "default": "path"},
            "tags": {"type": "dict"},
            "versioning": {"type": "bool"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "force": {"type": "bool", "default": False},
            "force_claimed": {"type": "bool", "default": False},
            "rotate_credentials": {"type": "bool", "default": False},
            "revoke_credentials": {"type": "list", "elements": "str", "no_log": False},
            "remove_credentials": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    outcome.run(module, ensure)


if __name__ == "__main__":
    main()
