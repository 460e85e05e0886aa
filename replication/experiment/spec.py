"""The experiment spec: which model, which pairs, which selection, which published results.

An experiment is a folder with an `experiment.toml`; the folder's name is the experiment's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Int64
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from replication.circuits.components import ModelShape, WriteCosts
from replication.circuits.notations import NotationName
from replication.circuits.selection import Rule
from replication.circuits.steps import Fixed, Step, by_threshold, kinds_of, tables_of
from replication.experiment.attention import (
    NOT_OF_ATTENTION,
    AttentionTable,
    PositionSpec,
    name_faults,
)
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, keys_of
from replication.experiment.clusters import clusters_of
from replication.experiment.pair_files import PairSource, source_of
from replication.experiment.pairs import AnyPairs, Keys, OwnFile, Pair, Row, Word
from replication.experiment.table import Table
from replication.inputs.files import (
    InputError,
    followed,
    is_folder,
    is_there,
    read_toml,
    validate,
    within,
)
from replication.inputs.messages import listed, placed, quoted

# One line, whatever the file's own lines: it goes to terminals and into tables.
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(lambda text: " ".join(text.split())),
]


# It goes into test ids and file names, which hold 255 bytes.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


class ModelSpec(Table):
    """The model: a name on the hub, a folder in an installed Python package, or just a folder."""

    name: Word | None = None
    """A model of the hub."""
    revision: Word | None = None
    """Which one of the hub: a branch, a tag or a commit."""
    package: Word | None = None
    """An installed Python package that carries the model."""
    folder: Word | None = None
    """The model's folder in the package; by itself, a folder told from the spec's own."""
    file: Annotated[str, StringConstraints(pattern=r"^[^/\\]+\.gguf$")] | None = None
    """A GGUF file in the folder, which holds the weights and the tokenizer."""
    install: str | None = None
    """What pip is given to install the package, where that is not its name."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The weights' SHA-256; of several files, that of their digests, by file name."""
    shape: ModelShape

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        sources = (self.name, self.package, None if self.package else self.folder)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(
                "expected either a name on the hub or a package, and not both, or a folder alone"
            )
        if self.revision is not None and self.name is None:
            raise ValueError("a revision is of a model on the hub")
        if self.file is not None and self.name is not None:
            raise ValueError("a file is of a package or a folder, not of a model on the hub")
        return self

    @property
    def label(self) -> str:
        """How reports name the model."""
        return self.name or self.package or self.file or Path(str(self.folder)).name

    def told_from(self, folder: Path) -> ModelSpec:
        """The same model, its own folder, if it has one, told from this one."""
        if self.name or self.package:
            return self
        return self.model_copy(update={"folder": str(followed(folder / str(self.folder)))})


Special = Literal["tokenizer", "bos", "none"]


class TokensSpec(Table):
    """Which tokens the model sees of a prompt."""

    special: Special = "tokenizer"
    """Which tokens are added: `tokenizer` adds those that the tokenizer itself adds, `bos` one
    beginning-of-sequence token in front, and `none` none."""
    chat_template: bool = False
    """Whether a prompt is put to the model as a user's message, in the tokenizer's own template."""

    @model_validator(mode="after")
    def _one_way(self) -> TokensSpec:
        if self.chat_template and self.special != "tokenizer":
            raise ValueError(
                "a chat template says itself which tokens are added: leave out special"
            )
        return self


ScoreKind = Literal["differential", "attribution", "effect", "attention"]
OF_A_BEHAVIOUR: frozenset[ScoreKind] = frozenset({"attribution", "effect"})
MlpOut = Literal["centred", "raw"]
MlpAt = Literal["residual", "module"]


class ScoringSpec(Table):
    """What a score is, and what it is computed from."""

    kind: ScoreKind = "differential"
    """`differential`: how far the mean activations of a pair's prompts lie apart, which is the
    published score. `effect`: how far the behaviour moves when the component alone is ablated.
    `attribution`: what the gradient says of that. `attention`: how much a head attends from one
    position of the first prompt to another; MLPs have no such score."""
    behaviour: Name | None = None
    """Which behaviour an attribution or an effect is on, where there are several."""
    mlp_out: MlpOut | None = None
    """Of every kind but `attention`. `centred` is the MLP output less its mean over d_model: what a
    library that centres the writing weights (TransformerLens' default processing) reports. `raw` is
    the output itself."""
    mlp_at: MlpAt = "residual"
    """Where the MLP's output is read: `residual` is what is added to the residual stream, behind a
    norm and a multiplier where the architecture has them (Gemma 2 and 3, OLMo 2, Granite), and
    `module` is what the MLP itself gives."""
    positions: dict[Name, PositionSpec] = Field(default_factory=dict)
    """The tokens of the first prompt that attention is between, by name."""
    tables: dict[Name, AttentionTable] = Field(default_factory=dict)
    """The tables of attention scores, by name: from which position to which."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> ScoringSpec:
        if self.kind == "attention":
            for key in ("behaviour", "mlp_out", "mlp_at"):
                if key in self.model_fields_set:
                    raise ValueError(f"{key}: a score of kind 'attention' has none: leave it out")
            for fault in name_faults(self.positions, self.tables):
                raise ValueError(fault)
            return self
        if self.mlp_out is None:
            raise ValueError("mlp_out: missing: expected 'centred' or 'raw'")
        if self.positions or self.tables:
            raise ValueError("positions and tables are of a score of kind 'attention'")
        return self

    @property
    def convention(self) -> MlpOut:
        """How an MLP's output is taken; there is none of attention."""
        assert self.mlp_out is not None
        return self.mlp_out

    @property
    def is_of_behaviour(self) -> bool:
        """Whether it is of a behaviour, which interventions move."""
        return self.kind in OF_A_BEHAVIOUR

    @property
    def table_names(self) -> list[str]:
        """The names of the tables of scores; one that has no name of its own has its kind's."""
        return list(self.tables) or [self.kind]

    @property
    def asked(self) -> dict[str, dict[str, Any]]:
        """The positions and tables of attention, as they stand in the spec; nothing if of none."""
        keys = {"positions", "tables"} if self.tables else set()
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, include=keys)

    @property
    def words(self) -> list[str]:
        """The columns that hold the words of positions."""
        return [one.word for one in self.positions.values() if one.word is not None]


class SelectionSpec(Table):
    """The rule that selects a circuit, under a write budget.

    With a threshold: the input, MLPs that reach it, then heads while the budget lasts; or by steps.
    """

    budget: PositiveInt
    """The write budget, in dimensions of the residual stream."""
    mlp_threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The score that an MLP must reach."""
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)] | None = None
    """In place of the threshold: what is taken, step by step."""
    input_counts: bool
    """Whether the input's d_model dimensions are part of the cost."""

    @model_validator(mode="after")
    def _one_rule(self) -> SelectionSpec:
        if (self.mlp_threshold is None) == (self.steps is None):
            raise ValueError("expected either mlp_threshold or steps")
        return self

    @property
    def taken(self) -> tuple[Step, ...]:
        """The steps, whichever way they are stated."""
        if self.steps is not None:
            return self.steps
        assert self.mlp_threshold is not None
        return by_threshold(self.mlp_threshold)


class VerificationSpec(Table):
    """What the controls draw at random, and what they run."""

    resamples: Annotated[PositiveInt, Field(le=100_000)] = 10_000
    """How many times the pairs are drawn again: at most 100,000, which take 8 bytes for each
    component, and beyond which a share is known to better than 0.2%."""
    seed: NonNegativeInt = 0
    """The seed of everything drawn."""
    random_weights: bool = False
    """Whether a live run also runs five models of this architecture with random weights."""


class ResultSpec(Table):
    """One published result: what it is, and where its figures are, relative to the spec."""

    about: Text
    """What was published, by whom, when."""
    circuit: OwnFile | None = None
    """The file of the circuit."""
    scores: OwnFile | None = None
    """The file of the score table."""
    tables: dict[Name, OwnFile] = Field(default_factory=dict)
    """In place of it, the files of several score tables, by name."""
    lengths: OwnFile | None = None
    """The file of what was published of the prompts' lengths and mean norms."""
    behaviours: OwnFile | None = None
    """The file of what was published of behaviours: of the model, of nothing, of the circuit."""
    notation: NotationName | None = None
    """How the circuit's and the scores' files name heads, where it could be told in two ways."""

    @model_validator(mode="after")
    def _one_form_of_scores(self) -> ResultSpec:
        if self.scores is not None and self.tables:
            raise ValueError("expected either scores or tables")
        return self

    def files(self) -> tuple[str | None, ...]:
        """The files that it names."""
        return self.circuit, self.scores, *self.tables.values(), self.lengths, self.behaviours


class Spec(Table):
    """The content of an `experiment.toml`."""

    title: Text
    """What reports call the experiment."""
    task: Text
    """One word for what the circuit is said to do."""
    sides: Annotated[tuple[Name, Name], Field(strict=False)]
    """How the two prompts of a pair are called."""
    pairs: AnyPairs
    """Where the pairs come from: a JSONL, JSON or CSV file, or a table that says more."""
    measures: Name
    """What a run of the pairs is called; the name of a published result if it repeats that."""
    recorded: OwnFile = "recorded.safetensors"
    """The file of recorded mean activations, or attention weights."""
    random_weights: OwnFile = "random_weights.json"
    """The file of the scores that random weights give."""
    interventions: OwnFile = "interventions.safetensors"
    """The file of the behaviours that were recorded under interventions."""
    claims: OwnFile = "claims.toml"
    """The file of claims."""
    model: ModelSpec
    tokens: TokensSpec = TokensSpec()
    scoring: ScoringSpec
    selection: SelectionSpec
    verification: VerificationSpec = VerificationSpec()
    behaviour: dict[Name, BehaviourSpec] = Field(default_factory=dict)
    """What the model does on the pairs, by name: what a circuit is to explain."""
    ablation: AblationSpec = AblationSpec()
    """What is put in components' place, and how much of it is run."""
    results: dict[Name, ResultSpec] = Field(default_factory=dict)
    """The published results, by name."""

    @field_validator("sides")
    @classmethod
    def _two_sides(cls, sides: tuple[str, str]) -> tuple[str, str]:
        if sides[0] == sides[1]:
            raise ValueError(f"both are called {quoted(sides[0])}")
        return sides

    @field_validator("behaviour")
    @classmethod
    def _ids_or_texts(cls, behaviour: dict[str, BehaviourSpec]) -> dict[str, BehaviourSpec]:
        texts, ids = (
            {column for one in behaviour.values() if one.ids == are_ids for column in one.columns}
            for are_ids in (False, True)
        )
        if both := sorted(texts & ids):
            raise ValueError(f"{quoted(both[0])} holds token ids for one, and texts for another")
        return behaviour

    @field_validator("selection")
    @classmethod
    def _holds_the_input(cls, selection: SelectionSpec, info: ValidationInfo) -> SelectionSpec:
        model = info.data.get("model")
        takes_input = any("input" in kinds_of(step) for step in selection.taken)
        counts = selection.input_counts and takes_input
        if model is not None and counts and selection.budget < model.shape.d_model:
            raise ValueError(
                f"a budget of {selection.budget} does not hold the input, which costs"
                f" {model.shape.d_model}"
            )
        return selection

    @field_validator("selection")
    @classmethod
    def _of_the_model(cls, selection: SelectionSpec, info: ValidationInfo) -> SelectionSpec:
        model, scoring = info.data.get("model"), info.data.get("scoring")
        for number, step in enumerate(selection.steps or (), start=1):
            if model is None or not isinstance(step, Fixed):
                continue
            try:
                for name in step.fixed:
                    model.shape.component(name)
            except InputError as error:
                raise ValueError(f"steps {number}: fixed: {error}") from None
        if scoring is not None and scoring.kind == "attention":
            if selection.steps is None:
                raise ValueError("mlp_threshold: attention gives an MLP no score: state steps")
            for number, step in enumerate(selection.steps, start=1):
                if tables_of(step) and "mlp" in kinds_of(step):
                    raise ValueError(f"steps {number}: attention gives an MLP no score")
        return selection

    @model_validator(mode="after")
    def _scored_behaviour(self) -> Spec:
        scoring = self.scoring
        if scoring.behaviour is not None and scoring.behaviour not in self.behaviour:
            raise ValueError(
                f"scoring.behaviour: there is no behaviour {quoted(scoring.behaviour)}; there are"
                f" {listed(map(quoted, self.behaviour)) or 'none'}"
            )
        causal = {scoring.kind, *self.ablation.rivals} & OF_A_BEHAVIOUR
        if causal and not self.behaviour:
            raise ValueError(f"a score of kind {min(causal)!r} is of a behaviour: state one")
        if causal and scoring.behaviour is None and len(self.behaviour) > 1:
            raise ValueError(
                f"scoring.behaviour: a score of kind {min(causal)!r} is of one behaviour: say which"
            )
        if self.ablation.rivals and self.selection.steps is not None:
            raise ValueError(
                "ablation.rivals: rivals have a threshold each, and the rule has steps"
            )
        taken = {scoring.kind, self.measures, *self.results}
        if shared := sorted(taken & set(self.ablation.rivals)):
            raise ValueError(
                f"ablation.rivals: {shared[0]!r} is what the experiment measures, or the name of a"
                " result"
            )
        return self

    @model_validator(mode="after")
    def _tables_that_there_are(self) -> Spec:
        if self.tables and self.scoring.kind != "attention":
            raise ValueError(
                f"results: several tables are of attention; a score of kind {self.scoring.kind!r}"
                " is one table"
            )
        there_are = listed(map(quoted, self.tables)) or "none"
        for number, step in enumerate(self.selection.taken, start=1):
            for name in tables_of(step):
                if name is None and len(self.tables) > 1:
                    raise ValueError(
                        f"selection.steps: {number}: by: there are several tables, {there_are}: say"
                        " which"
                    )
                if name is not None and name not in self.tables:
                    raise ValueError(
                        f"selection.steps: {number}: by: there is no table {quoted(name)}; there"
                        f" are {there_are}"
                    )
        return self

    @model_validator(mode="after")
    def _without_activations(self) -> Spec:
        if self.scoring.kind != "attention":
            return self
        if self.verification.random_weights:
            raise ValueError(f"verification.random_weights: {NOT_OF_ATTENTION}")
        return self

    @property
    def tables_of_results(self) -> dict[str, list[str]]:
        """The names of each result's score tables, where they have any; of what is measured too."""
        found = {name: list(one.tables) for name, one in self.results.items()}
        measured = [*self.scoring.tables, *found.get(self.measures, ())]
        return found | {self.measures: list(dict.fromkeys(measured))}

    @property
    def tables(self) -> list[str]:
        """The names of all score tables that have any."""
        return list(dict.fromkeys(chain.from_iterable(self.tables_of_results.values())))

    @property
    def keys(self) -> Keys:
        """The keys or columns of the pairs that are read."""
        words = self.scoring.words
        return keys_of(self.pairs, self.sides, self.behaviour.values(), self.ablation, words)

    @property
    def scored_behaviour(self) -> str | None:
        """The behaviour that scores are of, if they are of one; else the first, if there is any."""
        return self.scoring.behaviour or next(iter(self.behaviour), None)

    @property
    def costs(self) -> WriteCosts:
        """The write costs under the convention that the spec states."""
        shape = self.model.shape
        return WriteCosts(shape.d_model, shape.d_head, self.selection.input_counts)

    @property
    def rule(self) -> Rule:
        """The selection rule."""
        components = self.model.shape.components()
        return Rule(self.costs, self.selection.budget, self.selection.taken, components)


@dataclass(frozen=True)
class Experiment:
    """One result under test: its folder, its spec and its pairs."""

    folder: Path
    spec: Spec
    source: PairSource

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs, read once.

        Raises:
            NotAtHand: they are a dataset's that cannot be had here.
            InputError: naming the file, the line and the reason.
        """
        return [row.pair for row in self.rows]

    @cached_property
    def clusters(self) -> Int64[np.ndarray, " pairs"]:
        """Each pair's cluster: pairs that share a text, nearly so, or a stated group are in one.

        Raises:
            NotAtHand, InputError: as `pairs`.
        """
        return clusters_of(self.pairs, [row.group for row in self.rows])

    @cached_property
    def rows(self) -> list[Row]:
        """The pairs with their answers and further counterparts.

        Raises:
            NotAtHand, InputError: as `pairs`.
        """
        return list(self.source.read())

    @property
    def n_pairs(self) -> int | None:
        """How many pairs there are; None of a dataset's, which are read when they are asked for."""
        return len(self.pairs) if self.spec.pairs.file is not None else None


def read_experiment(folder: Path) -> Experiment:
    """The experiment in a folder; a dataset's pairs are read when they are asked for.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    path = folder / "experiment.toml"
    spec = validate(Spec, read_toml(path), path)
    check_links(folder, spec)
    experiment = experiment_of(folder, spec)
    if spec.pairs.file is not None:
        _ = experiment.pairs  # a file at fault is refused at once
    return experiment


def check_links(folder: Path, spec: Spec) -> None:
    """Refuse a file of the experiment's own that is a link, or behind one, out of its folder.

    Raises:
        InputError: naming the file, and where it leads.
    """
    published = [one.files() for one in spec.results.values()]
    named = (
        spec.pairs.file,
        spec.recorded,
        spec.random_weights,
        spec.interventions,
        spec.claims,
    )
    for own in (*named, *chain.from_iterable(published)):
        if own is None:
            continue
        place = followed(folder / own)
        if place.is_file() and not place.is_relative_to(followed(folder)):
            raise InputError(
                f"{placed(folder / own)}: leads out of the experiment's folder, to {placed(place)}"
            )


def experiment_of(folder: Path, spec: Spec) -> Experiment:
    """The experiment of a spec that stands in a folder, from where the spec's paths are told.

    Raises:
        InputError: the folder's name, which is the experiment's, is no text.
    """
    place = followed(folder)
    try:
        place.name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{placed(folder)}: the folder's name is no text in UTF-8") from None
    model = spec.model.told_from(folder)
    source = source_of(spec.pairs, folder, spec.keys)
    return Experiment(place, spec.model_copy(update={"model": model}), source)


def find_experiments(folder: Path) -> list[Path]:
    """The folders in `folder` that hold an `experiment.toml`, by name; or itself, if it does.

    Raises:
        InputError: there is no such folder, or no experiment in it.
    """
    if not is_folder(folder):
        raise InputError(f"{folder}: there is no such folder of experiments")
    if is_there(folder / "experiment.toml"):
        return [folder]
    found = [path for path in within(folder, "*/") if is_there(path / "experiment.toml")]
    if not found:
        raise InputError(f"{folder}: no folder in it holds an experiment.toml")
    return found
