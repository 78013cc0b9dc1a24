// The first surface of a plugin that declares nothing: nobody gets it before its publisher has accepted it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Surface } from '../../server/src/contract/trust-endpoints.ts';
import { ask, ENGINES, hooks, type PluginWish, register, type TestHub, testHub } from '../hub/support.ts';

const declares = (commands: string[]) => ({ haivemind: { permissions: { hook_events: ['Stop'], commands } } });

describe.each(ENGINES)('a first surface, on %s', (engine) => {
  let t: TestHub;
  let publisher: string;
  let operator: string;
  beforeAll(async () => {
    t = await testHub(engine);
    publisher = await t.token(['publisher']);
    operator = await t.token(['operator']);
    await t.machine('m');
  });
  afterAll(() => t?.close());

  /** Registers and publishes as the wish says; the publication's answer. */
  const offer = async (wish: PluginWish, more: object = {}, token = publisher) => {
    const { id } = (await register(t.url, token, wish)).expect(200);
    return ask(t.url, 'POST', '/api/plugins/publish', { token, body: { plugin_id: id, all: true, ...more } });
  };
  const audit = async (action: string) => {
    const { entries } = (await ask(t.url, 'GET', '/api/audit?limit=1000', { token: operator })).expect(200);
    return (entries as { action: string; actor: string; data: object }[]).filter((e) => e.action === action);
  };

  it('is refused in plain words, also to an operator, and nothing changes', async () => {
    const before = await audit('plugin.published');
    for (const token of [publisher, operator]) {
      const refused = await offer({ name: 'first', files: hooks('curl evil.test') }, {}, token);
      expect(refused.code).toBe('SURFACE_UNACCEPTED');
      expect(refused.status).toBe(422);
      expect(refused.json).toMatchObject({
        detail: expect.stringContaining('commands it runs: curl evil.test'),
        hint: expect.stringContaining('--accept-surface'),
        details: { id: 'plugin_first_1.0.0', name: 'first', version: '1.0.0' },
      });
      const { surface } = refused.json.details as { surface: unknown };
      expect(Surface.parse(surface)).toMatchObject({ hook_events: ['Stop'], commands: ['curl evil.test'] });
    }
    expect(await audit('plugin.published')).toEqual(before);
    expect(await audit('surface.accepted')).toEqual([]);
    expect((await ask(t.url, 'GET', '/api/plugins/first', { token: operator })).expect(200).status).toBe('registered');
  });

  it('says so in a dry run too, which accepts nothing', async () => {
    const wish = { name: 'dry', files: hooks('a') };
    expect((await offer(wish, { dry_run: true })).code).toBe('SURFACE_UNACCEPTED');
    (await offer(wish, { dry_run: true, accept_surface: true })).expect(200);
    expect((await offer(wish)).code).toBe('SURFACE_UNACCEPTED');
  });

  it('goes out once it is accepted, and the audit says by whom', async () => {
    const wish = { name: 'taken', files: hooks('a') };
    expect((await offer(wish, { accept_surface: true })).expect(200)).toMatchObject({ machines: ['m'] });
    const [row] = (await audit('surface.accepted')).slice(-1);
    expect(row).toMatchObject({ actor: expect.stringContaining('publisher'), data: { surface: { commands: ['a'] } } });
    (await offer(wish)).expect(200);
    const same = { ...wish, version: '1.0.1', files: { ...hooks('a'), 'commands/more.md': 'text' } };
    expect((await offer(same)).expect(200)).not.toHaveProperty('held');
    const wider = await offer({ ...wish, version: '1.1.0', files: hooks('b') });
    expect(wider.expect(200)).toMatchObject({ held: { added: { commands: ['b'] } } });
  });

  it('asks nothing of text, nor of what is declared', async () => {
    (await offer({ name: 'text' })).expect(200);
    (await offer({ name: 'declared', files: hooks('a'), manifest: declares(['a']) })).expect(200);
    const later = { name: 'declared', version: '1.0.1', files: hooks('a') };
    expect((await offer(later)).expect(200)).not.toHaveProperty('held');
  });

  it('is still the first after versions that only were text', async () => {
    (await offer({ name: 'quiet' })).expect(200);
    const wider = { name: 'quiet', version: '1.1.0', files: hooks('a') };
    expect((await offer(wider)).code).toBe('SURFACE_UNACCEPTED');
    expect((await offer(wider, { accept_surface: true })).expect(200)).toHaveProperty('held');
  });

  it('counts for what was shown: more than that is asked again while nothing was offered', async () => {
    const config = { approvalGroups: ['guarded'] };
    const strict = await testHub(engine, { config });
    try {
      const token = await strict.token(['publisher']);
      const send = async (wish: PluginWish, accept: boolean) => {
        const { id } = (await register(strict.url, token, wish)).expect(200);
        const body = { plugin_id: id, target_groups: ['guarded'], accept_surface: accept };
        return ask(strict.url, 'POST', '/api/plugins/publish', { token, body });
      };
      expect((await send({ name: 'lure', files: hooks('a') }, true)).expect(200)).toHaveProperty('held');
      expect((await send({ name: 'lure', version: '1.0.1', files: hooks('a') }, false)).expect(200)).toHaveProperty(
        'held',
      );
      expect((await send({ name: 'lure', version: '1.0.2', files: hooks('b') }, false)).code).toBe(
        'SURFACE_UNACCEPTED',
      );
    } finally {
      await strict.close();
    }
  });

  it('is not recorded for a publication that is refused for another reason', async () => {
    const before = await audit('surface.accepted');
    const body = { accept_surface: true, all: false };
    expect((await offer({ name: 'nowhere', files: hooks('a') }, body)).code).toBe('TARGET_REQUIRED');
    expect(await audit('surface.accepted')).toEqual(before);
  });

  it('shows whether a plugin is past it', async () => {
    const shown = async (ref: string) =>
      (await ask(t.url, 'GET', `/api/plugins/${ref}/surface`, { token: operator })).expect(200).accepted;
    expect(await shown('first')).toBe(false);
    expect(await shown('taken')).toBe(true);
    expect(await shown('text')).toBe(false);
    expect(await shown('declared')).toBe(true);
  });
});
