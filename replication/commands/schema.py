"""JSON Schemas of the files that an experiment's author writes, for editors to complete and check.

What needs other files, such as whether the model has a component, `replication check` finds.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from replication.claims.claim import ClaimFile
from replication.experiment.spec import Spec

Schema = Literal["spec", "claims"]


class _ForTOML(GenerateJsonSchema):
    """Without null, which TOML does not know, and without titles that repeat the keys."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        return {key: value for key, value in made.items() if (key, value) != ("default", None)}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def schema(of: Schema) -> dict[str, Any]:
    """The JSON Schema of an `experiment.toml` or of a `claims.toml`."""
    models: dict[Schema, type[BaseModel]] = {"spec": Spec, "claims": ClaimFile}
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | models[of].model_json_schema(schema_generator=_ForTOML)
