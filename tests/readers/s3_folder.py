"""Creates and copies buckets of an S3 server with pyarrow, so without our own code.

    s3_folder.py make ENDPOINT KEY SECRET BUCKET
    s3_folder.py copy ENDPOINT KEY SECRET BUCKET/PREFIX FOLDER
"""

import sys

from pyarrow import fs

verb, endpoint, key, secret, place, *rest = sys.argv[1:]
scheme, _, host = endpoint.partition("://")
s3 = fs.S3FileSystem(
    access_key=key, secret_key=secret, endpoint_override=host, scheme=scheme, region="us-east-1", allow_bucket_creation=True,
    request_timeout=30, connect_timeout=10,
)
if verb == "make":
    s3.create_dir(place)
# A folder that does not exist has no objects.
elif s3.get_file_info(place).type != fs.FileType.NotFound:
    fs.copy_files(place, rest[0], source_filesystem=s3, destination_filesystem=fs.LocalFileSystem())
