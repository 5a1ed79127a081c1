"""The part of Go's text/template that `--format` of the docker command line is used with."""

from ireko.cli.template.evaluate import Template
from ireko.cli.template.functions import FUNCTIONS, HEADER_FUNCTIONS, to_json
from ireko.cli.template.lexer import TemplateError

__all__ = ["FUNCTIONS", "HEADER_FUNCTIONS", "Template", "TemplateError", "to_json"]
