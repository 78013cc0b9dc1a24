import { APPROVAL_MODES } from '../domain/approval.ts';
import { HaiveError } from '../domain/errors.ts';
import { FINDING_CODES } from '../domain/findings/codes.ts';
import { dataDirOf, HubPlugins } from '../domain/hub-plugins.ts';
import { isGroupPattern } from '../domain/names.ts';
import { withoutLogin } from '../domain/redact.ts';
import { didYouMean } from '../domain/validate/suggest.ts';
import { parseConfig, SOURCES, updateConfig } from '../machine/config-file.ts';
import { readReceipts } from '../machine/receipts/index.ts';
import { tryToAnnounce } from './collective/announce.ts';
import type { ClientContext } from './context.ts';
import { hubUrl } from './hub/hub-client.ts';
import { noteBefore } from './local-audit.ts';

interface Key {
  kind: 'boolean' | 'integer' | 'number' | 'text' | 'list' | 'object' | 'address' | 'approvals';
  /** `hub` keys are read by the hub on its host; `machine` keys here. */
  readBy: 'machine' | 'hub' | 'both';
  /** What is refused when a person sets it, though whoever reads the file lets it stand. */
  refuse?: (value: unknown, ctx: ClientContext) => unknown;
}

/** The keys a person may set: the seed's `plugins` block and the few of a machine's own. docs/configuration.md describes each. */
const CONFIG_KEYS: Record<string, Key> = {
  hub_url: { kind: 'address', readBy: 'machine' },
  plain_http: { kind: 'boolean', readBy: 'machine' },
  proxy: { kind: 'text', readBy: 'machine' },
  no_proxy: { kind: 'text', readBy: 'machine' },
  memory_server: { kind: 'text', readBy: 'machine' },
  role: { kind: 'text', readBy: 'machine' },
  about: { kind: 'text', readBy: 'machine' },
  'plugins.enabled': { kind: 'boolean', readBy: 'machine' },
  'plugins.registry_db': { kind: 'text', readBy: 'hub' },
  'plugins.install_path': { kind: 'text', readBy: 'machine', refuse: refuseMoving },
  'plugins.auto_sync': { kind: 'boolean', readBy: 'machine' },
  'plugins.sync_interval': { kind: 'integer', readBy: 'machine' },
  'plugins.auto_install_updates': { kind: 'boolean', readBy: 'machine' },
  'plugins.verify_checksums': { kind: 'boolean', readBy: 'machine' },
  'plugins.allowed_sources': { kind: 'list', readBy: 'machine', refuse: refuseUnknownSources },
  'plugins.machine_group_auto_install': { kind: 'boolean', readBy: 'machine' },
  'plugins.max_plugin_size_mb': { kind: 'number', readBy: 'both' },
  'plugins.backup_before_update': { kind: 'boolean', readBy: 'machine' },
  'plugins.findings': { kind: 'object', readBy: 'both', refuse: refuseUnknownCodes },
  'plugins.approvals': { kind: 'approvals', readBy: 'hub' },
  'plugins.approval_groups': { kind: 'list', readBy: 'hub', refuse: refuseOddGroups },
  'plugins.limits': { kind: 'object', readBy: 'hub' },
  'plugins.allowed_source_hosts': { kind: 'list', readBy: 'hub' },
  'plugins.usage': { kind: 'boolean', readBy: 'machine' },
  'plugins.layout': { kind: 'text', readBy: 'machine' },
  'plugins.name_clash': { kind: 'text', readBy: 'machine' },
};

/** Shown, never set by hand. */
const READ_ONLY_KEYS = ['machine.name', 'machine.id', 'hub.id', 'groups', 'capabilities', 'login.url'];

/** The seed's block, asked for as a whole. */
export const BLOCK = 'plugins';

/**
 * The values in force, defaults included: of one key, of the block `plugins`, or all. Secrets are never among them.
 * @throws HaiveError USAGE for a key that does not exist
 */
export function getConfig(ctx: ClientContext, key?: string): Record<string, unknown> {
  const all = [...READ_ONLY_KEYS, ...Object.keys(CONFIG_KEYS)];
  const several = key === undefined || key === BLOCK;
  const keys =
    key === undefined ? all : several ? all.filter((name) => name.startsWith(`${BLOCK}.`)) : [canonical(key, true)];
  const values = keys.map((name) => [name, shownOf(name, lookUp(ctx.config, name))] as const);
  return Object.fromEntries(several ? values.filter(([, value]) => value !== undefined) : values);
}

const shownOf = (name: string, value: unknown): unknown =>
  name === 'proxy' && typeof value === 'string' ? withoutLogin(value) : value;

const lookUp = (value: unknown, key: string): unknown =>
  key.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], value);

/** Accepts the seed's keys with and without `plugins.`. */
function canonical(key: string, alsoReadOnly: boolean): string {
  const known = [...Object.keys(CONFIG_KEYS), ...(alsoReadOnly ? READ_ONLY_KEYS : [])];
  const found = known.find((name) => name === key) ?? known.find((name) => name === `plugins.${key}`);
  if (found !== undefined) return found;
  const short = key.includes('.') ? known : [...known, ...known.map((name) => name.replace(/^plugins\./, ''))];
  throw new HaiveError('USAGE', `There is no key ${key}`, {
    hint: `${didYouMean(key, short)} Keys: ${known.join(', ')}.`.trim(),
  });
}

/**
 * Sets a key, or takes it out (`null`), so that its default holds again.
 * @param text the value as typed: true/false, a number, text, a,b,c or a list or object in JSON
 * @throws HaiveError USAGE (key), CONFIG_INVALID (value)
 */
export async function setConfig(
  ctx: ClientContext,
  key: string,
  text: string | null,
): Promise<Record<string, unknown>> {
  const name = canonical(key, false);
  const value = text === null ? undefined : parse(name, text);
  refuseForHub(name, value);
  await CONFIG_KEYS[name]?.refuse?.(value, ctx);
  const [head, tail] = name.split('.') as [string, string | undefined];
  const change = (raw: Record<string, unknown>): Record<string, unknown> => {
    if (tail === undefined) return withKey(raw, head, value);
    const block = withKey(Object(raw[head]), tail, value);
    return withKey(raw, head, Object.keys(block).length > 0 ? block : undefined);
  };
  // The history tells of what was set, and keeps no login out of an address that is none.
  parseConfig(change(ctx.config), ctx.machine.paths.config);
  const before = shownOf(name, lookUp(ctx.config, name));
  await noteBefore(ctx, [
    { what: 'config', target: name, from: null, before, after: shownOf(name, value) ?? 'its default' },
  ]);
  ctx.config = await updateConfig(ctx.machine, change);
  if (name === 'role' || name === 'about') await tryToAnnounce(ctx);
  return getConfig(ctx, name);
}

function withKey(block: Record<string, unknown>, key: string, value: unknown): Record<string, unknown> {
  const { [key]: _, ...others } = block;
  return value === undefined ? others : { ...block, [key]: value };
}

/** A hub that shares this file would not start with it. */
function refuseForHub(name: string, value: unknown): void {
  if (CONFIG_KEYS[name]?.readBy === 'machine') return;
  const key = name.replace(/^plugins\./, '');
  const { data, error } = HubPlugins.safeParse({ [key]: value });
  if (data?.registry_db !== undefined) dataDirOf(data.registry_db);
  const issue = error?.issues[0];
  if (issue === undefined) return;
  throw new HaiveError('CONFIG_INVALID', `plugins.${issue.path.join('.')}: ${issue.message}`, {
    hint: 'docs/configuration.md describes each key.',
  });
}

async function refuseMoving(_value: unknown, ctx: ClientContext): Promise<void> {
  if (Object.keys((await readReceipts(ctx.machine)).plugins).length === 0) return;
  throw new HaiveError('CONFIG_INVALID', 'install_path cannot move while plugins are installed there', {
    hint: 'Run `hv leave`, set it, and join again.',
  });
}

/** Said here and not where the file is read: one that many machines share may know a code of a newer program. */
function refuseUnknownCodes(policy: unknown): void {
  const unknown = Object.keys(policy ?? {}).find((code) => !FINDING_CODES.includes(code));
  if (unknown === undefined) return;
  throw new HaiveError('CONFIG_INVALID', `plugins.findings: no finding is called ${unknown}`, {
    hint: `\`hv validate\` shows the code of each finding.${didYouMean(unknown, FINDING_CODES)}`,
  });
}

/** As with codes of findings. */
function refuseUnknownSources(sources: unknown): void {
  const unknown = Array.isArray(sources) ? sources.find((one) => !SOURCES.includes(one)) : undefined;
  if (unknown === undefined) return;
  throw new HaiveError('CONFIG_INVALID', `plugins.allowed_sources: there is no source ${JSON.stringify(unknown)}`, {
    hint: `Sources: ${SOURCES.join(', ')}.${didYouMean(String(unknown), SOURCES)}`,
  });
}

/** Said here and not by a hub that starts: its groups may have names from before there was a rule. */
function refuseOddGroups(groups: unknown): void {
  const odd = Array.isArray(groups) ? groups.find((one) => !isGroupPattern(one)) : undefined;
  if (odd === undefined) return;
  throw new HaiveError('CONFIG_INVALID', `plugins.approval_groups: ${JSON.stringify(odd)} is no group's name`, {
    hint: 'docs/configuration.md describes each key.',
  });
}

function parse(name: string, text: string): unknown {
  const kind = CONFIG_KEYS[name]?.kind;
  const wrong = (form: string): HaiveError =>
    new HaiveError('CONFIG_INVALID', `${name} wants ${form}, not ${JSON.stringify(text)}`, {
      hint: 'docs/configuration.md describes each key.',
    });
  const refuse = (form: string): never => {
    throw wrong(form);
  };
  switch (kind) {
    case 'boolean':
      if (/^(true|on|yes|1)$/i.test(text)) return true;
      if (/^(false|off|no|0)$/i.test(text)) return false;
      throw wrong('true or false');
    case 'integer':
      if (!/^\d+$/.test(text) || Number(text) < 1) throw wrong('a whole number above 0');
      return Number(text);
    case 'number':
      if (!(Number(text) > 0) || !Number.isFinite(Number(text))) throw wrong('a number above 0');
      return Number(text);
    case 'list':
      return listOf(text) ?? refuse('a,b,c or a JSON list of names');
    case 'object':
      return objectOf(text) ?? refuse('an object in JSON');
    case 'approvals':
      return APPROVAL_MODES.find((mode) => mode === text) ?? refuse(`one of ${APPROVAL_MODES.join(', ')}`);
    case 'address':
      return hubUrl(text);
    default:
      if (text.trim() === '') throw wrong('some text');
      return text;
  }
}

/** Names, or null where one of them cannot be a name, host or group. */
function listOf(text: string): string[] | null {
  const items = text.trimStart().startsWith('[') ? jsonOf(text) : text.split(',').map((item) => item.trim());
  if (!Array.isArray(items)) return null;
  const names = items.filter((item) => item !== '');
  return names.every((item) => typeof item === 'string' && /^[^\s"'[\]{},]+$/.test(item)) ? names : null;
}

function objectOf(text: string): object | null {
  const value = jsonOf(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
