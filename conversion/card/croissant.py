"""Write ``croissant.json``, which describes the dataset folder in MLCommons' Croissant 1.1.

Each split of a configuration is a set of files and a record set over them. The files lie in the
same folder, or in the repository if the folder is published; a reader can use a local folder
instead with ``mapping={"repo": folder}``. Croissant's own reader reads only Parquet, so other
formats have no record sets.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any, Final

from bioscan5m_hf.errors import counted
from bioscan5m_hf.readers.formats import SUFFIXES
from bioscan5m_hf.schema import upstream
from bioscan5m_hf.schema.columns import COLUMNS, IMAGE_COLUMN, SPLITS, Kind
from bioscan5m_hf.schema.configurations import METADATA
from conversion.card import readme
from conversion.card.front_matter import TAGS, pattern
from conversion.card.statements import (
    COLLECTION,
    LABELS,
    MISSING,
    PERSONAL_DATA,
    PREPROCESSING,
    USES,
    biases,
    limitations,
)
from conversion.card.statistics import Profile
from conversion.folder.manifest import Manifest, SplitFiles
from conversion.formats.base import ShardWriter
from conversion.formats.registry import writer_named

CROISSANT_NAME: Final = "croissant.json"
_VERSION: Final = "http://mlcommons.org/croissant/1.1"
_RESPONSIBLE: Final = "http://mlcommons.org/croissant/RAI/1.0"
_REPOSITORY: Final = "repo"
_TYPES: Final = {
    Kind.STRING: "sc:Text",
    Kind.FLOAT: "sc:Float",
    Kind.INTEGER: "sc:Integer",
    Kind.SMALL_INTEGER: "sc:Integer",
}

# The context that the specification prescribes literally.
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def render_croissant(manifest: Manifest, found: Profile | None = None) -> bytes:
    """Describe a dataset folder.

    Returns:
        The text of the file; the same manifest gives the same text.
    """
    parts = [
        (configuration, split.published, manifest.splits[configuration][split.published])
        for configuration in (*manifest.packages, METADATA)
        for split in SPLITS
        if split.published in manifest.splits.get(configuration, {})
        and manifest.splits[configuration][split.published].rows
    ]
    url = f"https://huggingface.co/datasets/{manifest.name}" if "/" in manifest.name else None
    data = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": upstream.NAME,
        "conformsTo": [_VERSION, _RESPONSIBLE],
        "description": readme.description(manifest),
        "license": upstream.LICENCE_URL,
        "url": url or upstream.HOMEPAGE,
        "version": "1.0.0",
        "datePublished": upstream.PUBLISHED,
        "citeAs": upstream.CITATION,
        "creator": {"@type": "sc:Organization", "name": upstream.HOLDER},
        "keywords": list(TAGS),
        "isAccessibleForFree": True,
        **_responsible(manifest, found),
        "distribution": [
            *([_repository(url)] if url else []),
            *(_file_set(name, split, files, published=bool(url)) for name, split, files in parts),
        ],
        "recordSet": [
            _record_set(name, split, files)
            for name, split, files in parts
            if _writer(files).croissant
        ],
    }
    # One line for each value, so that versions can be compared. An indent would do this too, but
    # then json uses its slower Python encoder.
    return (json.dumps(data, ensure_ascii=False, separators=(",\n", ": ")) + "\n").encode()


def _writer(files: SplitFiles) -> type[ShardWriter]:
    return writer_named(SUFFIXES[PurePosixPath(files.shards[0].path).suffix].name)


def _repository(url: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": _REPOSITORY,
        "name": _REPOSITORY,
        "description": "the repository on the Hub",
        "contentUrl": url,
        "encodingFormat": "git+https",
        # The specification requires a digest, and a repository has none. The Hub also writes this.
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }


def _responsible(manifest: Manifest, found: Profile | None) -> dict[str, Any]:
    """Fill in the vocabulary for responsible AI, with the sentences of the card."""
    return {
        "rai:dataCollection": COLLECTION,
        "rai:dataCollectionMissingData": MISSING,
        "rai:dataPreprocessingProtocol": [PREPROCESSING],
        "rai:dataAnnotationProtocol": [LABELS],
        "rai:dataBiases": biases(manifest, found),
        "rai:dataLimitations": limitations(found),
        "rai:dataUseCases": list(USES),
        "rai:personalSensitiveInformation": [PERSONAL_DATA],
    }


def _file_set(
    configuration: str, split: str, files: SplitFiles, *, published: bool
) -> dict[str, Any]:
    contained = {"containedIn": {"@id": _REPOSITORY}} if published else {}
    return {
        "@type": "cr:FileSet",
        "@id": f"files/{configuration}/{split}",
        "name": f"{configuration}-{split}",
        "description": f"{counted(len(files.shards), 'shard')}, {counted(files.rows, 'specimen')}",
        "encodingFormat": _writer(files).media_type,
        **contained,
        "includes": pattern(files),
    }


def _record_set(configuration: str, split: str, files: SplitFiles) -> dict[str, Any]:
    name = f"{configuration}/{split}"
    fields = [_field(name, c.name, c.meaning, _TYPES[c.kind]) for c in COLUMNS]
    if configuration != METADATA:
        image = _field(name, IMAGE_COLUMN, "the photograph", "sc:ImageObject")
        image["source"]["transform"] = {"jsonPath": "bytes"}
        fields.insert(0, image)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": counted(files.rows, "specimen"),
        "field": fields,
    }


def _field(record_set: str, column: str, meaning: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": column,
        "description": meaning,
        "dataType": kind,
        "source": {
            "fileSet": {"@id": f"files/{record_set}"},
            "extract": {"column": column},
        },
    }
