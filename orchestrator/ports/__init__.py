"""The contracts between the services and the world outside. Each docstring is a promise that the contract
suites (`tests/contract`) check over every implementation, the fakes in `orchestrator.testing` included.
"""

from orchestrator.ports.artifacts import ArtifactDraft as ArtifactDraft
from orchestrator.ports.artifacts import ArtifactStore as ArtifactStore
from orchestrator.ports.authoring import Batch as Batch
from orchestrator.ports.authoring import Checker as Checker
from orchestrator.ports.authoring import Folder as Folder
from orchestrator.ports.authoring import Parser as Parser
from orchestrator.ports.authoring import Renderer as Renderer
from orchestrator.ports.authoring import RenderFacts as RenderFacts
from orchestrator.ports.engine import ByteStream as ByteStream
from orchestrator.ports.engine import Engine as Engine
from orchestrator.ports.engine import FoundFile as FoundFile
from orchestrator.ports.engine import FoundKind as FoundKind
from orchestrator.ports.engine import Stream as Stream
from orchestrator.ports.images import Images as Images
from orchestrator.ports.images import RegistryLogin as RegistryLogin
from orchestrator.ports.logs import LogFlag as LogFlag
from orchestrator.ports.logs import LogRecord as LogRecord
from orchestrator.ports.logs import LogStore as LogStore
from orchestrator.ports.logs import LogWriter as LogWriter
from orchestrator.ports.secrets import Secrets as Secrets
from orchestrator.ports.store import FileRecord as FileRecord
from orchestrator.ports.store import ImageRecord as ImageRecord
from orchestrator.ports.store import Leading as Leading
from orchestrator.ports.store import Led as Led
from orchestrator.ports.store import Page as Page
from orchestrator.ports.store import Snapshot as Snapshot
from orchestrator.ports.store import Standby as Standby
from orchestrator.ports.store import Store as Store
