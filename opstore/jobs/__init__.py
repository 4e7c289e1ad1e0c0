"""Operations under way: their records in `pending/`, and the runner that brings every one of them to its end, exactly once."""

from opstore.job import Job, Step
from opstore.jobs.record import JobFolder, Progress
from opstore.jobs.runner import Runner

__all__ = ["Job", "JobFolder", "Progress", "Runner", "Step"]
