import { keepRotated } from '../../../client/hub/login.ts';
import { ask } from '../../../client/hub/registry.ts';
import type { Role } from '../../../contract/roles.ts';
import { GIVEN_ROLES, ROLES } from '../../../contract/roles.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { parsePluginRef } from '../../../domain/names.ts';
import { clean, shorten, table, warnings } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { refusalText } from './fleet-status.ts';
import { argument, countOption, listOption } from './options.ts';

type Actions = Record<string, (call: VerbCall) => Promise<VerbOutput>>;

function choose(call: VerbCall, verb: string, actions: Actions): Promise<VerbOutput> {
  const action = call.args[0] ?? 'list';
  const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (run !== undefined) return run(call);
  throw new HaiveError('USAGE', `hv ${verb} ${action} is not known`, {
    hint: `Use ${Object.keys(actions).join(', ')}.`,
  });
}

export const machines: Verb = (call) =>
  choose(call, 'machines', {
    list: listMachines,
    show: showMachine,
    set: setMachine,
    remove: removeMachine,
    install: override('install'),
    pin: override('pin'),
    hold: override('hold'),
    exclude: override('exclude'),
    clear: clearOverride,
  });

/** `hv machines pin MACHINE NAME[@RANGE]` and its like. */
function override(kind: 'install' | 'pin' | 'hold' | 'exclude'): (call: VerbCall) => Promise<VerbOutput> {
  return async (call) => {
    const machine = argument(call, 1, 'machine');
    const { name, range } = parsePluginRef(argument(call, 2, 'plugin'));
    if ((kind === 'pin' || kind === 'hold') && range === null) {
      throw new HaiveError('USAGE', `hv machines ${kind} wants NAME@${kind === 'hold' ? 'VERSION' : 'RANGE'}`);
    }
    const body = { kind, ...(range === null || kind === 'exclude' ? {} : { range }) };
    const set = await ask(await call.open(), 'operator', (hub) =>
      hub.call('setOverride', { params: { machine, name }, body }),
    );
    const what = [name, ...set.along].join(', ');
    const done = `${call.style.green('✓')} ${machine}: ${kind} ${what} ${set.range}`;
    return { json: { machine, ...set }, text: [done, ...warnings(set.warnings, call.style)].join('\n') };
  };
}

async function clearOverride(call: VerbCall): Promise<VerbOutput> {
  const machine = argument(call, 1, 'machine');
  const { name } = parsePluginRef(argument(call, 2, 'plugin'));
  const { seq } = await ask(await call.open(), 'operator', (hub) =>
    hub.call('clearOverride', { params: { machine, name }, query: {} }),
  );
  return {
    json: { machine, name, seq },
    text: `${call.style.green('✓')} ${machine}: ${name} is again what its groups say`,
  };
}

async function listMachines(call: VerbCall): Promise<VerbOutput> {
  const { style } = call;
  const group = call.options.group as string | undefined;
  const all = await ask(await call.open(), 'operator', async (hub) => {
    const rows = [];
    for (let after: string | undefined; ; ) {
      const query = {
        limit: 1000,
        ...(group === undefined ? {} : { group }),
        ...(after === undefined ? {} : { after }),
      };
      const page = await hub.call('machines', { query });
      rows.push(...page.machines);
      if (page.next === null) return rows;
      after = page.next;
    }
  });
  const rows = all.map((m) => [
    style.bold(m.name),
    m.online ? style.green('online') : style.dim(m.last_seen ?? 'never seen'),
    m.groups.join(','),
    m.capabilities.join(','),
    shorten(m.platform, 30),
    m.haivemind_version,
  ]);
  const head = ['MACHINE', 'SEEN', 'GROUPS', 'CAPABILITIES', 'PLATFORM', 'HV'];
  return { json: { machines: all, next: null }, text: rows.length === 0 ? 'No machines.' : table(head, rows, style) };
}

async function showMachine(call: VerbCall): Promise<VerbOutput> {
  const { style } = call;
  const machine = call.args[1] ?? 'me';
  const ctx = await call.open();
  const m = await ask(ctx, machine === 'me' ? 'machine' : 'operator', (hub) =>
    hub.call('machine', { params: { machine } }),
  );
  const wanted = new Map(m.desired.map((d) => [d.name, d]));
  const have = new Map(m.plugins.map((p) => [p.name, p]));
  const rows = [...new Set([...wanted.keys(), ...have.keys()])].sort().map((name) => {
    const [want, here] = [wanted.get(name), have.get(name)];
    return [name, here?.version ?? '-', want?.version ?? '-', here?.state ?? 'waiting', want?.origin ?? ''];
  });
  const lines = [
    `${style.bold(m.name)} (${m.id}) ${m.online ? style.green('online') : `last seen ${m.last_seen ?? 'never'}`}`,
    `groups ${m.groups.join(', ') || '-'} · capabilities ${m.capabilities.join(', ') || '-'} · ${clean(m.platform)}`,
    ...(rows.length > 0 ? [table(['PLUGIN', 'HAS', 'WANTED', 'STATE', 'WHY'], rows, style)] : []),
    ...(m.refused ? [style.red(`! ${refusalText(m.refused)}`)] : []),
    ...m.overrides.map((o) => style.dim(`${o.kind} ${o.name} ${o.range} by ${o.by}`)),
    ...warnings(
      m.problems.map((p) => `${p.name}: ${p.code}: ${p.message}`),
      style,
    ),
  ];
  return { json: m, text: lines.join('\n') };
}

async function setMachine(call: VerbCall): Promise<VerbOutput> {
  const machine = argument(call, 1, 'machine');
  const groups = call.options.groups === '' ? [] : listOption(call.options.groups, 'groups');
  const capabilities = call.options.capabilities === '' ? [] : listOption(call.options.capabilities, 'capabilities');
  if (groups === undefined && capabilities === undefined) {
    throw new HaiveError('USAGE', 'Nothing to set', { hint: 'Give --groups a,b or --capabilities x,y.' });
  }
  const body = { ...(groups === undefined ? {} : { groups }), ...(capabilities === undefined ? {} : { capabilities }) };
  const m = await ask(await call.open(), 'operator', (hub) => hub.call('updateMachine', { params: { machine }, body }));
  return {
    json: m,
    text: `${m.name}: groups ${m.groups.join(', ') || '-'} · capabilities ${m.capabilities.join(', ') || '-'}`,
  };
}

async function removeMachine(call: VerbCall): Promise<VerbOutput> {
  const machine = argument(call, 1, 'machine');
  await ask(await call.open(), 'operator', (hub) => hub.call('removeMachine', { params: { machine } }));
  return { json: { removed: machine }, text: `${call.style.green('✓')} ${machine} is forgotten; its token is revoked` };
}

export const groups: Verb = async (call) => {
  const approvals = countOption(call.options.approvals, 'approvals', 0);
  if (approvals !== undefined) {
    const group = argument(call, 0, 'group');
    const body = { approvals };
    const done = await ask(await call.open(), 'operator', (hub) => hub.call('setQuorum', { params: { group }, body }));
    const who = done.approvals === 1 ? '1 operator' : `${done.approvals} operators`;
    const text =
      done.approvals === 0
        ? `${group} demands no number of approvals any more`
        : `${group} gets only what ${who} approved; what is there already stays`;
    return { json: done, text: `${call.style.green('✓')} ${text}` };
  }
  const answer = await ask(await call.open(), 'operator', (hub) => hub.call('groups'));
  const one = call.args[0] === 'all' ? '*' : call.args[0];
  const shown = one === undefined ? answer.groups : answer.groups.filter((g) => g.name === one);
  if (one !== undefined && shown.length === 0) {
    throw new HaiveError('NOT_FOUND', `There is no group ${one}`, { hint: '`hv groups` lists those there are.' });
  }
  const rows = shown.map((g) => [
    call.style.bold(g.name === '*' ? 'all' : g.name),
    shorten(g.machines.join(', '), 60),
    shorten(g.plugins.join(', '), 60),
    g.approvals === 0 ? '' : String(g.approvals),
  ]);
  const text =
    rows.length === 0 ? 'No groups.' : table(['GROUP', 'MACHINES', 'PLUGINS', 'APPROVALS'], rows, call.style);
  return { json: { ...answer, groups: shown }, text };
};

export const token: Verb = (call) =>
  choose(call, 'token', { list: listTokens, create: createToken, revoke: revokeToken, rotate: rotateToken });

/** The token this machine would use here is traded for a new one; where it is the login's, the new one is kept in its place. */
async function rotateToken(call: VerbCall): Promise<VerbOutput> {
  const ctx = await call.open();
  const made = await ask(ctx, 'operator', (hub) => hub.call('rotateToken', { body: {} }));
  const kept = await keepRotated(ctx, made.token);
  const { token: _, ...row } = made;
  const text = kept ? `${call.style.green('✓')} ${made.id} is kept here in the old one's place` : made.token;
  return { json: kept ? row : made, text };
}

async function listTokens(call: VerbCall): Promise<VerbOutput> {
  const answer = await ask(await call.open(), 'operator', (hub) => hub.call('tokens'));
  const rows = answer.tokens.map((t) => [
    t.id,
    t.name,
    t.roles.join(','),
    t.revoked_at === null ? (t.expires_at ?? 'no expiry') : call.style.red('revoked'),
    t.last_used_at ?? 'never used',
  ]);
  return { json: answer, text: table(['ID', 'NAME', 'ROLES', 'EXPIRES', 'LAST USED'], rows, call.style) };
}

async function createToken(call: VerbCall): Promise<VerbOutput> {
  const name = argument(call, 1, 'name');
  const roles = listOption(call.options.roles, 'roles');
  if (roles === undefined)
    throw new HaiveError('USAGE', '--roles is missing', { hint: `Roles: ${GIVEN_ROLES.join(', ')}.` });
  const unknown = roles.filter((r) => !ROLES.includes(r as Role));
  if (unknown.length > 0) {
    throw new HaiveError('USAGE', `${unknown.join(', ')} is no role`, { hint: `Roles: ${GIVEN_ROLES.join(', ')}.` });
  }
  const days = countOption(call.options.expires, 'expires');
  const pattern = call.options.pattern as string | undefined;
  const body = {
    name,
    roles: roles as Role[],
    ...(days === undefined ? {} : { expires_in_days: days }),
    ...(pattern === undefined ? {} : { name_pattern: pattern }),
    ...limitsOf(call),
  };
  const made = await ask(await call.open(), 'operator', (hub) => hub.call('createToken', { body }));
  return {
    json: made,
    text: [made.token, call.style.dim(`${made.id} (${made.roles.join(', ')}); it is not shown again`)].join('\n'),
  };
}

function limitsOf(call: VerbCall): { max_uses?: number; groups?: string[] } {
  const uses = countOption(call.options.uses, 'uses');
  const groups = listOption(call.options.groups, 'groups');
  return { ...(uses === undefined ? {} : { max_uses: uses }), ...(groups === undefined ? {} : { groups }) };
}

async function revokeToken(call: VerbCall): Promise<VerbOutput> {
  const id = argument(call, 1, 'token id');
  const { last_admin = false, also = [] } = await ask(await call.open(), 'operator', (hub) =>
    hub.call('revokeToken', { params: { token: id } }),
  );
  const done = `${call.style.green('✓')} ${id} is revoked`;
  const alone =
    'It was the last admin: run `hv hub token create NAME --roles admin` on the host of the hub for another';
  const still = also.map((other) => `It was rotated: ${other} still holds; \`hv token revoke ${other}\` ends it too`);
  const told = [...still, ...(last_admin ? [alone] : [])].map((line) => call.style.yellow(line));
  return { json: { revoked: id, last_admin, also }, text: [done, ...told].join('\n') };
}
