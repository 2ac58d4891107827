"""What `make audit` makes of the reports of pip-audit and npm, recorded with and without a source of advisories."""

import pytest

from scripts.audit import read_npm_audit, read_pip_audit

SKIPPED = '{"name": "lxml", "skip_reason": "Dependency not found on PyPI and could not be audited: lxml (6.1.3)"}'
FINE = '{"name": "idna", "version": "3.20", "vulns": []}'
BAD = '{"name": "pillow", "version": "9.0.0", "vulns": [{"id": "PYSEC-2023-1", "fix_versions": ["10.0.1"]}]}'
NPM = '{"vulnerabilities": {%s}, "metadata": {"dependencies": {"total": 9}}}'


@pytest.mark.parametrize("report", ["", f'{{"dependencies": [{SKIPPED}], "fixes": []}}'])
def test_no_source_of_advisories_is_not_no_vulnerabilities(report: str) -> None:
    audit = read_pip_audit(report)
    assert (audit.audited, audit.vulnerable) == (0, ())
    assert "no source of advisories can be reached" in audit.told()
    assert "vulnerabilities" not in audit.told()


def test_what_was_audited_is_told_with_what_was_not() -> None:
    audit = read_pip_audit(f'{{"dependencies": [{FINE}, {SKIPPED}]}}')
    assert audit.told() == "1 packages audited, 1 not audited: no known vulnerabilities"
    found = read_pip_audit(f'{{"dependencies": [{FINE}, {BAD}]}}')
    assert found.vulnerable == ("pillow 9.0.0 (PYSEC-2023-1)",)


def test_the_tools_from_npm_are_told_alike() -> None:
    assert read_npm_audit('{"message": "405 Method Not Allowed", "statusCode": 405}').audited == 0
    assert read_npm_audit(NPM % "").told() == "9 packages audited: no known vulnerabilities"
    assert read_npm_audit(NPM % '"tar": {"severity": "high"}').vulnerable == ("tar (high)",)
