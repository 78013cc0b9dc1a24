// The spine, end to end: published from one HOME, loaded by the real client in another, updated, removed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { listPlugins } from './harness/claude-plugin.ts';
import type { SessionEvents } from './harness/session.ts';
import { validateByClient } from './harness/validate.ts';
import { scriptedSession } from './harness/with-model.ts';

const PING = 'mcp__plugin_devops-essentials_devops__ping';
const KUBECTL = { tool: 'Bash', input: { command: 'kubectl version', description: 'Asks the version' } };

let collective: Collective;
let b: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  b = await collective.machine('b', DEVOPS);
  await b.fakeProgram('kubectl', 'echo "Client Version: v1.31.0"');
  await b.fakeProgram('logger', `{ printf '%s: ' "$*"; cat; } >> '${b.project}/syslog'`);
});
afterAll(() => collective?.close());

const names = (session: SessionEvents) => session.init.plugins.map((plugin) => plugin.name);
const pathOf = (session: SessionEvents, name: string) => session.init.plugins.find((p) => p.name === name)?.path ?? '';
const said = (session: SessionEvents) =>
  session.hooks
    .filter((hook) => hook.event === 'SessionStart')
    .map((hook) => hook.stdout || hook.output)
    .join('\n');
const of = (plugin: string, list: string[]) => list.filter((entry) => entry.startsWith(`${plugin}:`));

/** What a session shows of devops-essentials, which has one of each kind. */
function shown({ init }: SessionEvents) {
  return {
    plugin: init.plugins.some((plugin) => plugin.name === 'devops-essentials'),
    commands: of('devops-essentials', init.slash_commands).filter(
      (name) => !of('devops-essentials', init.skills).includes(name),
    ),
    agents: of('devops-essentials', init.agents),
    skills: of('devops-essentials', init.skills),
    servers: init.mcp_servers.filter((server) => server.name.startsWith('plugin:devops-essentials:')),
  };
}

describe('a plugin with a manifest in the seed form', () => {
  it('is not on the machine before it is published', async () => {
    const session = await scriptedSession(b);
    expect(names(session)).toEqual(['haivemind-core']);
  });

  it('is published from one home, and the real client of the other loads every part of it', async () => {
    await collective.publish('base-memory-tools', { args: ['--groups', 'orchestrators'] });
    const published = await collective.publish('devops-essentials');
    expect(published).toMatchObject({
      id: 'plugin_devops-essentials_1.2.0',
      name: 'devops-essentials',
      version: '1.2.0',
    });
    await hvOk(b, ['sync']);

    const pingLog = join(b.project, 'ping.log');
    const session = await scriptedSession(b, [KUBECTL, { tool: PING, input: {} }, { text: 'all done' }], {
      extraArgs: ['--allowedTools', `Bash(kubectl:*),${PING}`],
      env: { DEVOPS_PING_LOG: pingLog },
    });
    expect(names(session).sort()).toEqual(['base-memory-tools', 'devops-essentials', 'haivemind-core']);
    expect(session.init.slash_commands).toContain('devops-essentials:deploy');
    expect(session.init.agents).toContain('devops-essentials:security-auditor');
    expect(session.init.skills).toContain('devops-essentials:incident-response');
    expect(session.init.mcp_servers).toContainEqual(
      expect.objectContaining({ name: 'plugin:devops-essentials:devops', status: 'connected' }),
    );
    // The hook the seed writes as "matcher": "Bash(kubectl:*)" fires, once, and reaches its program.
    expect(await readFile(join(b.project, 'syslog'), 'utf8')).toBe('-t haivemind: Kubernetes command executed\n');
    // The tool call reaches the server.
    expect(session.toolResults.map((result) => result.isError)).toEqual([false, false]);
    expect((await readFile(pingLog, 'utf8')).trim().split('\n')).toHaveLength(1);
    expect(session.result.result).toBe('all done');
  });

  it('is listed by the client with all that is installed, without errors', async () => {
    const listed = await listPlugins(b);
    expect(listed.map((plugin) => plugin.id).sort()).toEqual([
      'base-memory-tools@collective',
      'devops-essentials@collective',
      'haivemind-core@collective',
    ]);
    expect(listed.map((plugin) => ({ enabled: plugin.enabled, errors: plugin.errors ?? [] }))).toEqual(
      listed.map(() => ({ enabled: true, errors: [] })),
    );
    expect(listed.find((plugin) => plugin.id.startsWith('devops'))?.version).toBe('1.2.0');
    // What publishing translated is what the client's own validation accepts.
    for (const { installPath } of listed) {
      expect(await validateByClient(b, installPath ?? '')).toMatchObject({ success: true, errors: [] });
    }
  });

  it('waits with an update until somebody says so, and the next session tells of it', async () => {
    await collective.publish('devops-essentials', { version: '1.3.0' });
    const told = await scriptedSession(b);
    expect(said(told)).toContain('devops-essentials');
    expect(said(told)).toContain('1.3.0');
    expect(JSON.parse(said(told).trim().split('\n')[0] ?? '').systemMessage).toContain('1.3.0');
    // One more session, so that nothing can have applied it behind the notice.
    expect(pathOf(await scriptedSession(b), 'devops-essentials')).toMatch(/1\.2\.0-[0-9a-f]{12}/);

    await hvOk(b, ['sync']);
    const after = await scriptedSession(b);
    expect(pathOf(after, 'devops-essentials')).toMatch(/1\.3\.0-[0-9a-f]{12}/);
    expect(said(after)).not.toContain('1.3.0');
  });

  it('brings an update by itself where auto_install_updates is true', async () => {
    await hvOk(b, ['config', 'set', 'auto_install_updates', 'true']);
    await collective.publish('devops-essentials', { version: '1.4.0' });
    const during = await scriptedSession(b);
    expect(said(during)).toContain('1.4.0');
    const after = await scriptedSession(b);
    expect(pathOf(after, 'devops-essentials')).toMatch(/1\.4\.0-[0-9a-f]{12}/);
    expect(shown(after)).toEqual({
      plugin: true,
      commands: ['devops-essentials:deploy'],
      agents: ['devops-essentials:security-auditor'],
      skills: ['devops-essentials:incident-response'],
      servers: [expect.objectContaining({ status: 'connected' })],
    });
  });

  it('leaves nothing that loads after hv remove, and does not come back', async () => {
    await hvOk(b, ['remove', 'devops-essentials']);
    await hvOk(b, ['sync']);
    const session = await scriptedSession(b, [KUBECTL, { text: 'done' }], {
      extraArgs: ['--allowedTools', 'Bash(kubectl:*)'],
    });
    expect(shown(session)).toEqual({ plugin: false, commands: [], agents: [], skills: [], servers: [] });
    expect(session.init.tools.filter((tool) => tool.includes('devops'))).toEqual([]);
    // The hook is gone too: still the one line of the session that had it.
    expect(await readFile(join(b.project, 'syslog'), 'utf8')).toBe('-t haivemind: Kubernetes command executed\n');
    expect(names(session).sort()).toEqual(['base-memory-tools', 'haivemind-core']);
    expect((await listPlugins(b)).map((plugin) => plugin.id)).not.toContain('devops-essentials@collective');
  });
});

it('a machine outside the groups, or without the capabilities, does not get it', async () => {
  for (const member of [{ groups: ['scrapers'], capabilities: DEVOPS.capabilities }, { groups: DEVOPS.groups }]) {
    const other = await collective.machine(`other-${member.groups}`, member as typeof DEVOPS);
    await hvOk(other, ['sync']);
    const session = await scriptedSession(other);
    expect(names(session)).not.toContain('devops-essentials');
    const refused = await hv(other, ['install', 'devops-essentials', '--json']);
    expect(refused.code).not.toBe(0);
    expect(refused.json.error.code).toBe('NOT_ELIGIBLE');
  }
});

it('a first session installs what its group was given, without anybody typing a command', async () => {
  const c = await collective.machine('c', { groups: ['orchestrators'] });
  const listed = async () => names(await scriptedSession(c));
  await collective.publish('base-memory-tools', { version: '1.1.0', args: ['--groups', 'orchestrators'] });
  await listed();
  expect(await listed()).toContain('base-memory-tools');
});
