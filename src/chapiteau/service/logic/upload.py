"""A file that a client has sent in a form."""

from typing import IO

__all__ = ["Upload"]


class Upload:
    """One file of a `multipart/form-data` body.

        class Photo(msgspec.Struct):
            title: str
            picture: Upload

        @photos.post(consumes=["multipart/form-data"], max_body=20 << 20)
        def add(photo: Photo) -> int:
            return photo.picture.size

    `file` is open for reading at its beginning, in memory when small, else in a temporary
    file without a name; it is closed when nobody holds the Upload any more.
    `filename` and `content_type` are what the client says: the name has no folders in it, but
    nothing else has been checked.
    """

    __slots__ = ("content_type", "file", "filename", "size")

    def __init__(self, file: IO[bytes], *, filename: str, content_type: str, size: int) -> None:
        self.file = file
        self.filename = filename.replace("\\", "/").rpartition("/")[2]
        self.content_type = content_type
        self.size = size

    def __del__(self) -> None:
        self.file.close()

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.size} bytes>"
