"""Operations under way: their records in `pending/`, and the runner that brings every one of them to its end, exactly once."""

from opstore.jobs.pending_folder import JobFolder, Progress
from opstore.jobs.runner import Runner
from opstore.storage.job import Job, Step

__all__ = ["Job", "JobFolder", "Progress", "Runner", "Step"]
