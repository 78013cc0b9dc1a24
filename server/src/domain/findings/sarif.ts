import type { Finding } from './index.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';
const LEVEL = { error: 'error', warning: 'warning', note: 'note' } as const;

/** Findings as a SARIF 2.1.0 log, which code hosts and editors show beside the lines. Paths are relative to the plugin. */
export function toSarif(findings: readonly Finding[], toolVersion: string): Record<string, unknown> {
  const codes = [...new Set(findings.map((f) => f.code))].sort();
  const rules = codes.map((id) => ({ id, name: pascal(id) }));
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'haivemind', version: toolVersion, rules } },
        columnKind: 'utf16CodeUnits',
        results: findings.map((f) => ({
          ruleId: f.code,
          ruleIndex: codes.indexOf(f.code),
          level: LEVEL[f.severity],
          message: { text: f.fix === '' ? f.message : `${f.message} ${f.fix}` },
          ...(f.file === '' ? {} : { locations: [{ physicalLocation: locationOf(f) }] }),
        })),
      },
    ],
  };
}

function locationOf(f: Finding) {
  const uri = f.file.split('/').map(encodeURIComponent).join('/');
  const region =
    f.line === null ? {} : { region: { startLine: f.line, ...(f.column === null ? {} : { startColumn: f.column }) } };
  return { artifactLocation: { uri }, ...region };
}

/** HOOK_FORM → HookForm, as SARIF wants names. */
function pascal(code: string): string {
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}
