import type { RegisterResult } from '../../client/publish/index.ts';
import type { Reply } from '../../contract/endpoints.ts';
import { withheldInWords } from '../../domain/approval.ts';
import { rows } from './say.ts';
import type { ToolOutput } from './tools/index.ts';

/** What registering and publishing answer, as data and as text: a client may show the model either one alone. */

const MAX_CHANGES = 50;

/** The answer of register_plugin. */
export function registered(result: RegisterResult): { text: string; data: ToolOutput<'register_plugin'> } {
  const { id, name, version, status, created, changes, may_publish } = result;
  const next = may_publish
    ? `publish_plugin with ${id} offers it to machines.`
    : `It waits for an operator, who looks at it with \`hv review ${name}@${version}\` and publishes it.`;
  const next_steps = status === 'registered' ? [next] : [];
  const head = `${id} is ${created ? 'registered' : 'registered already, with the same bytes'} (${status}).`;
  const lines = [
    ...changes.map((c) => `translated ${c.file}: ${c.why}`),
    ...result.findings.map((f) => `${f.severity} ${f.file}: ${f.message} ${f.fix}`.trim()),
  ];
  return {
    text: [head, ...next_steps, rows(lines)].filter((part) => part !== '').join('\n'),
    data: { ...result, changes: changes.slice(0, MAX_CHANGES), change_count: changes.length, next_steps },
  };
}

/** The answer of publish_plugin. */
export function published(result: Reply<'publish'>): { text: string; data: ToolOutput<'publish_plugin'> } {
  const next_steps = stepsAfter(result);
  return { text: [outcome(result), ...next_steps].join(' '), data: { ...result, next_steps } };
}

function outcome({ id, groups, machines, held, instead = [] }: Reply<'publish'>): string {
  if (held !== undefined) return `${id} reaches nobody yet: ${held.reason}.`;
  const to = groups.includes('*') ? 'every machine' : groups.join(', ');
  const others = instead.map((other) => ` ${other.machines.length} machines should have ${other.version} instead.`);
  return `${id} is published to ${to}: ${machines.length} machines should have it now.${others.join('')}`;
}

/** What must still happen before machines take it, and who does it. */
function stepsAfter({ name, version, held, withheld, changed_key, revoked_content }: Reply<'publish'>): string[] {
  const approve = `\`hv approve ${name}@${version}\``;
  const steps: string[] = [];
  if (held !== undefined) steps.push(`An operator lets it go with ${approve}.`);
  if (withheld !== undefined) {
    const so = `so far ${withheld.by.length} approved it: another one runs ${approve}.`;
    steps.push(`${withheldInWords(withheld)}, ${so}`);
  }
  if (changed_key !== undefined) {
    const trust = `\`hv trust add ${name} ${changed_key.keyid}\``;
    steps.push(`It is signed by another key than ${changed_key.version}: machines refuse it until ${trust} there.`);
  }
  if (revoked_content !== undefined) {
    const { version: old, reason } = revoked_content;
    steps.push(
      `It has the content of ${old}, which was revoked (${reason}); \`hv revoke ${name}@${version}\` takes it back.`,
    );
  }
  return steps;
}
