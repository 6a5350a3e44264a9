"""The audit as a page for people, as JSON for machines, and as a statement that somebody signs."""

from medtoken.audit.report._figures import Figures, figures, party_figures
from medtoken.audit.report._page import credibility_page, report_page
from medtoken.audit.report._statement import AuditStatement, sign, verify

__all__ = [
    "AuditStatement",
    "Figures",
    "credibility_page",
    "figures",
    "party_figures",
    "report_page",
    "sign",
    "verify",
]
