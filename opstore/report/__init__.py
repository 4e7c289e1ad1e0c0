"""The usage report: a period's figures, charts and tables as one HTML file that needs nothing else, in English or French."""

from opstore.language.document_formatter import DocumentFormatter
from opstore.report.page import document as html
from opstore.report.usage import Usage, document, pictures, usage

__all__ = ["DocumentFormatter", "Usage", "document", "html", "pictures", "usage"]
