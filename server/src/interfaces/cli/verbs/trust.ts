import type { ClientContext } from '../../../client/context.ts';
import { ask } from '../../../client/hub/registry.ts';
import { localAudit } from '../../../client/local-audit.ts';
import {
  approvePlugin,
  beginEpoch,
  forgetKey,
  forgetRevokedKey,
  listTrust,
  operatorKey,
  revokePlugin,
  rotatePublisherKey,
  showSurface,
  trustKey,
  trustOperator,
} from '../../../client/trust/verbs.ts';
import { ERRORS, HaiveError } from '../../../domain/errors.ts';
import { clean, table } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { argument, countOption } from './options.ts';
import { surfaceLines, withheldLines } from './surface-text.ts';

export const surface: Verb = async (call) => {
  const { style } = call;
  const name = argument(call, 0, 'plugin');
  const [, from, to] = call.args;
  const s = await showSurface(await call.open(), to === undefined ? name : `${name}@${to}`, from);
  const all = surfaceLines(s.surface, style);
  const added = surfaceLines(s.added, style, style.red('  + '));
  const removed = surfaceLines(s.removed, style, style.green('  - '));
  const code = s.code_changed.map((path) => `  ${style.yellow('~')} ${clean(path)}`);
  const lines = [
    `${style.bold(s.name)} ${s.version} ${s.declared ? '(declared by its author)' : '(computed from its files)'}`,
    ...(all.length === 0 ? ['  text only: no hooks, servers, commands or grants'] : all),
  ];
  if (s.against !== null) {
    lines.push(
      `Against ${s.against}:`,
      ...(added.length + removed.length === 0 ? ['  does no more and no less'] : [...added, ...removed]),
    );
    if (code.length > 0) lines.push('Files that run and differ:', ...code);
  }
  if (s.held !== null) {
    lines.push(
      style.yellow(
        `Held since ${s.held.at}: \`hv approve ${s.name}@${s.version}\` publishes it to ${s.held.groups.join(', ')}`,
      ),
    );
  }
  if (s.approved !== null)
    lines.push(`Approved by ${clean(s.approved.by)} at ${s.approved.at}${s.approved.signed ? ', signed' : ''}`);
  return { json: s, text: [...lines, style.dim(s.digest)].join('\n') };
};

export const approve: Verb = async (call) => {
  const { digest, urgent } = call.options;
  const done = await approvePlugin(await call.open(), argument(call, 0, 'plugin'), { digest, urgent: urgent === true });
  const how = done.signed ? ' and signed' : '';
  const to = done.published ? `, published to ${done.groups.join(', ')}` : '';
  const lines = [
    `${call.style.green('✓')} ${done.name} ${done.version} is approved${how}${to}`,
    ...deprecatedLines(done),
    ...withheldLines(done.withheld, `${done.name}@${done.version}`, call.style),
  ];
  return { json: done, text: lines.join('\n') };
};

const deprecatedLines = ({
  name,
  version,
  deprecated,
  groups,
}: Awaited<ReturnType<typeof approvePlugin>>): string[] => {
  if (deprecated === undefined) return [];
  const to = groups.length === 0 ? 'to new machines' : `to ${groups.join(', ')}`;
  return [`It stays deprecated (${clean(deprecated)}): \`hv deprecate ${name}@${version} --undo\` offers it ${to}`];
};

export const revoke: Verb = async (call) => {
  const { style } = call;
  const reason = call.options.reason as string | undefined;
  if (reason === undefined)
    throw new HaiveError('USAGE', '--reason is missing', { hint: 'People see it where the plugin was.' });
  const wait = (countOption(call.options.wait, 'wait') ?? 0) * 1000;
  const done = await revokePlugin(await call.open(), argument(call, 0, 'plugin'), reason, wait);
  const rows = done.holders.map((h) => [h.machine, h.since, h.confirmed_at ?? style.yellow('not yet')]);
  const lines = [
    `${style.green('✓')} ${done.name} ${done.version} is revoked; connected machines unload it now, others at their next sync`,
    ...(rows.length === 0 ? ['No machine had it.'] : [table(['MACHINE', 'HAD IT SINCE', 'GONE'], rows, style)]),
  ];
  return { json: done, text: lines.join('\n') };
};

export const revocations: Verb = async (call) => {
  const { style } = call;
  const { revocations: all } = await ask(await call.open(), 'operator', (hub) => hub.call('revocations'));
  const lines = all.flatMap((r) => [
    `${style.bold(r.name)} ${r.version} ${r.at} by ${clean(r.by)}: ${clean(r.reason)}`,
    ...r.holders.map(
      (h) =>
        `  ${h.machine} since ${h.since}, ${h.confirmed_at === null ? style.red('not confirmed') : `gone ${h.confirmed_at}`}`,
    ),
    ...r.sessions.map(
      (s) =>
        `  used on ${s.machine} in session ${s.session}: ${s.uses} times, ${s.first_day === s.last_day ? '' : `${s.first_day} to `}${s.last_day}`,
    ),
  ]);
  return { json: { revocations: all }, text: lines.length === 0 ? 'Nothing was revoked.' : lines.join('\n') };
};

const status =
  (to: 'yanked' | 'deprecated', said: string): Verb =>
  async (call) => {
    const id = argument(call, 0, 'plugin');
    const back = call.options.undo === true;
    const body = {
      status: back ? ('published' as const) : to,
      reason: (call.options.reason as string | undefined) ?? '',
      ...(back ? { lifts: to } : {}),
    };
    const done = await ask(await call.open(), 'operator', (hub) => hub.call('setStatus', { params: { id }, body }));
    const again = done.status === 'published' ? 'is offered again' : `is ${done.status} again, as it was before`;
    return { json: done, text: `${call.style.green('✓')} ${done.id} ${back ? again : said}` };
  };

export const yank = status('yanked', 'is offered to nobody any more; it stays where it is installed');
export const deprecate = status('deprecated', 'is deprecated; it stays where it is installed');

export const audit: Verb = async (call) => {
  const { style } = call;
  const ctx = await call.open();
  if (call.options.local === true) return auditHere(call, ctx);
  if (call.options.verify === true) {
    const proof = await ask(ctx, 'operator', (hub) => hub.call('auditVerify'));
    const text = proof.ok
      ? `${style.green('✓')} ${proof.rows} rows, none changed or missing\nhead ${proof.head}`
      : style.red(`✗ AUDIT_BROKEN: row ${proof.broken_at} is not as it was written, or is missing`);
    return { json: proof, text, ...(proof.ok ? {} : { exit: ERRORS.AUDIT_BROKEN.exit }) };
  }
  const everything = call.options.export === true;
  const limit = countOption(call.options.limit, 'limit') ?? 50;
  const entries = await ask(ctx, 'operator', async (hub) => {
    const rows = [];
    for (let before: number | undefined; ; ) {
      const query = { limit: everything ? 1000 : Math.min(limit, 1000), ...(before === undefined ? {} : { before }) };
      const page = await hub.call('audit', { query });
      rows.push(...page.entries);
      if (page.next === null || (!everything && rows.length >= limit)) return rows;
      before = page.next;
    }
  });
  if (everything) return { json: { entries }, text: entries.map((e) => JSON.stringify(e)).join('\n') };
  const from = (data: Record<string, unknown>): string => clean(String(data.address ?? ''));
  const rows = entries.map((e) => [String(e.id), e.at, clean(e.actor), from(e.data), e.action, clean(e.target)]);
  return { json: { entries }, text: table(['ID', 'AT', 'WHO', 'FROM', 'WHAT', 'TO'], rows, style) };
};

/** Of this machine: what became of plugins, configuration and trust here. */
async function auditHere(call: VerbCall, ctx: ClientContext): Promise<VerbOutput> {
  const { style } = call;
  const { entries, proof } = await localAudit(ctx);
  if (call.options.verify === true) {
    const text =
      proof.brokenAt === null
        ? `${style.green('✓')} ${proof.rows} entries, none changed or missing\nhead ${proof.head.n} ${proof.head.hash}`
        : style.red(`✗ AUDIT_BROKEN: entry ${proof.brokenAt} is not as it was written, or is missing`);
    const { rows, brokenAt: broken_at, head } = proof;
    const json = { ok: broken_at === null, rows, broken_at, head };
    return { json, text, ...(json.ok ? {} : { exit: ERRORS.AUDIT_BROKEN.exit }) };
  }
  if (call.options.export === true)
    return { json: { entries }, text: entries.map((entry) => JSON.stringify(entry)).join('\n') };
  const shown = entries.slice(-(countOption(call.options.limit, 'limit') ?? 50)).reverse();
  const rows = shown.map((e) => [
    ...[String(e.n), e.at, clean(e.who), e.what, clean(e.target)],
    ...[versionOf(e.before), versionOf(e.after), e.result],
  ]);
  const heads = ['N', 'AT', 'WHO', 'WHAT', 'TO', 'BEFORE', 'AFTER', 'RESULT'];
  return { json: { entries: shown }, text: table(heads, rows, style) };
}

/** A state in a word: the version, or the value itself. */
function versionOf(state: unknown): string {
  if (state === null || state === undefined) return '';
  const { version } = state as { version?: unknown };
  return clean(String(version ?? (typeof state === 'object' ? JSON.stringify(state) : state))).slice(0, 40);
}

type Actions = Record<string, (call: VerbCall) => Promise<VerbOutput>>;

const TRUST: Actions = {
  async list(call) {
    const { plugins, operators, revoked } = await listTrust(await call.open());
    const rows = Object.entries(plugins).map(([name, keys]) => [name, keys.join(', ')]);
    const lines = [
      table(['PLUGIN', 'SIGNED BY'], rows, call.style),
      ...operators.map((o) => `operator ${o.keyid} ${o.key}`),
      ...revoked.map((keyid) => `revoked ${keyid}`),
    ];
    return { json: { plugins, operators, revoked }, text: lines.join('\n') };
  },
  async add(call) {
    const [plugin, key] = [argument(call, 1, 'plugin'), argument(call, 2, 'key or key id')];
    const keyid = await trustKey(await call.open(), plugin, key);
    return { json: { plugin, keyid }, text: `${call.style.green('✓')} ${keyid} may sign ${plugin} on this machine` };
  },
  async forget(call) {
    const plugin = argument(call, 1, 'plugin');
    await forgetKey(await call.open(), plugin, call.args[2]);
    return { json: { plugin }, text: `${call.style.green('✓')} forgotten for ${plugin}` };
  },
  async 'forget-revoked'(call) {
    const { confirm, options } = call;
    const question = (keyid: string) =>
      `${keyid} was revoked: whoever has it may sign plugins for this machine again. Forget it?`;
    const agreed = async (keyid: string) => options.yes === true || ((await confirm?.(question(keyid))) ?? false);
    const keyid = argument(call, 1, 'key id');
    await forgetRevokedKey(await call.open(), keyid, agreed);
    return { json: { keyid }, text: `${call.style.green('✓')} ${keyid} counts again on this machine` };
  },
  async operator(call) {
    const keyid = await trustOperator(
      await call.open(),
      argument(call, 1, "operator's public key"),
      call.options.remove === true,
    );
    return { json: { keyid }, text: `${call.style.green('✓')} operator ${keyid}` };
  },
  async 'operator-key'(call) {
    const { publicKey, keyid } = await operatorKey(await call.open());
    return {
      json: { public_key: publicKey, keyid },
      text: `${publicKey}\n${call.style.dim(`${keyid}; machines learn it with: hv trust operator KEY`)}`,
    };
  },
  async keys(call) {
    const answer = await ask(await call.open(), 'reader', (hub) => hub.call('keys'));
    const rows = answer.keys.map((k) => [
      k.keyid,
      k.publishers.map(clean).join(', '),
      k.first_seen,
      k.revoked_at === null ? '' : 'revoked',
    ]);
    return { json: answer, text: table(['KEY', 'PUBLISHERS', 'FIRST SEEN', ''], rows, call.style) };
  },
  async rotate(call) {
    const done = await rotatePublisherKey(await call.open());
    return { json: done, text: `${call.style.green('✓')} ${done.from} → ${done.to}; machines follow by themselves` };
  },
  async 'revoke-key'(call) {
    const keyid = argument(call, 1, 'key id');
    const done = await ask(await call.open(), 'operator', (hub) => hub.call('revokeKey', { params: { keyid } }));
    return { json: done, text: `${call.style.green('✓')} ${keyid} signs nothing new any more` };
  },
  async epoch(call) {
    const done = await beginEpoch(await call.open());
    return { json: done, text: `${call.style.green('✓')} epoch ${done.epoch}` };
  },
};

export const trust: Verb = (call) => {
  const action = call.args[0] ?? 'list';
  const run = Object.hasOwn(TRUST, action) ? TRUST[action] : undefined;
  if (run !== undefined) return run(call);
  throw new HaiveError('USAGE', `hv trust ${action} is not known`, { hint: `Use ${Object.keys(TRUST).join(', ')}.` });
};
