"""The settings of the engine `file`."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel


class FileSettings(BaseModel):
    """Read from variables: `folder` from `FAILSOFT_FILE_FOLDER`.

    Attributes:
        folder: Where messages wait; it must be there, and the same for every process.
    """

    # Made absolute, because a job may change the working directory.
    folder: Annotated[Path, AfterValidator(Path.absolute)] = Path(".failsoft/file").absolute()
