import { TOOLS } from '../client-facts.ts';
import { HaiveError } from '../errors.ts';
import { type GrantTargets, translateGrants } from '../translate/grants.ts';
import { componentsOf } from '../version/components.ts';
import { classifier, MANIFEST_PATH, namedPaths } from '../version/file-types.ts';
import { findFrontMatter, parseFrontMatter } from '../version/front-matter.ts';
import { checkSkillFolders } from './skill-folders.ts';
import type { Subject } from './subject.ts';
import { suggest } from './suggest.ts';

type Kind = 'command' | 'agent' | 'skill';

const HEAD = 256 * 1024;
const MAX_DESCRIPTION = 1024;
const MODELS = ['sonnet', 'opus', 'haiku', 'inherit', 'default', 'opusplan'];

/** Commands, agents and skills: front matter, descriptions, tools, the places where the client looks for skills. */
export function validateComponents(subject: Subject): void {
  const typeOf = classifier(subject.manifest);
  const { targets } = subject;
  const components = componentsOf(subject.manifest, [...subject.files.keys()]);
  const skills = new Map(components.flatMap((c) => (c.kind === 'skill' ? [[c.file, c.namesItself] as const] : [])));
  const agents = new Map<string, string>();
  for (const path of subject.files.keys()) {
    const type = typeOf(path);
    // Also what plugin.json puts aside: `claude plugin validate` reads it too.
    if (type === 'command' || type === 'agent') checkMarkdown(subject, path, type, targets, agents);
    else if (skills.has(path)) checkMarkdown(subject, path, 'skill', targets, agents, skills.get(path));
  }
  checkSkillFolders(subject);
  checkShadowed(subject);
}

/** Commands or agents that plugin.json names take the place of the default folder; skills and hooks come beside theirs. */
function checkShadowed(subject: Subject): void {
  for (const key of ['commands', 'agents'] as const) {
    const value = subject.manifest[key];
    if (value === undefined) continue;
    const named = namedPaths(value);
    const isNamed = (path: string) =>
      named.some((n) => n === '' || n === '.' || path === n || path.startsWith(`${n}/`));
    const lost = [...subject.files.keys()].find((p) => p.startsWith(`${key}/`) && p.endsWith('.md') && !isNamed(p));
    if (lost === undefined) continue;
    const message = `${lost} is never loaded: the "${key}" of plugin.json take the place of the folder ${key}/.`;
    const fix = key === 'commands' ? 'Name "./commands/" there too.' : 'Name the files of agents/ there too.';
    subject.warn('COMPONENT_SHADOWED', MANIFEST_PATH, { json: [key] }, message, fix);
  }
}

function checkMarkdown(
  subject: Subject,
  path: string,
  kind: Kind,
  targets: GrantTargets,
  agents: Map<string, string>,
  namesItself = false,
): void {
  const bytes = subject.files.get(path)?.bytes ?? Buffer.alloc(0);
  const text = bytes.subarray(0, HEAD).toString('utf8');
  subject.keepText(path, text);
  if (kind === 'skill' && path === 'SKILL.md') checkRootName(subject, path, text);
  if (findFrontMatter(text) === undefined) {
    const language = /^---[^\S\n]*(\w+)/.exec(text)?.[1];
    const message =
      language === undefined
        ? 'There is no front matter between --- lines at the top.'
        : `Front matter in ${language} is not read; it must be YAML after a bare ---.`;
    subject.warn('FRONT_MATTER_MISSING', path, { offset: 0 }, message, 'Start the file with ---, description: …, ---.');
    return;
  }
  let data: Record<string, unknown>;
  try {
    data = parseFrontMatter(text).data;
  } catch (error) {
    const line = error instanceof HaiveError ? error.details?.line : undefined;
    const place = { offset: typeof line === 'number' ? lineOffset(text, line) : 0 };
    if (error instanceof HaiveError && error.details?.tooLarge === true) {
      subject.registryRule('FRONT_MATTER_LARGE', path, place, error.message, 'Move text into the body of the file.');
      return;
    }
    const reason = error instanceof HaiveError ? error.message : 'The front matter cannot be read';
    const message = `${reason}; Claude Code drops all of its fields.`;
    subject.error('FRONT_MATTER_INVALID', path, place, message, 'Quote values with special characters.');
    return;
  }
  const at = (key: string) => ({ offset: keyOffset(text, key) });
  checkFields(subject, path, kind, data, at);
  checkTools(subject, path, kind, data, at);
  if (kind === 'agent') checkAgent(subject, path, data, at, agents);
  if (kind === 'skill') {
    const folder = path.split('/').at(-2);
    if (typeof data.name === 'string' && data.name !== folder && !namesItself) {
      subject.warn(
        'SKILL_NAME_MISMATCH',
        path,
        at('name'),
        `The skill is called ${folder} after its folder, not ${data.name.slice(0, 60)}.`,
        'Make name and folder agree.',
      );
    }
  }
  if (kind === 'command') checkHint(subject, path, text, data);
  translateGrants(text, targets, (_rule, before, after) => {
    subject.warn(
      'GRANT_WITHOUT_SERVER',
      path,
      { offset: Math.max(text.indexOf(before), 0) },
      `The grant ${before} matches no tool of a plugin's server.`,
      `Write ${after}.`,
    );
  });
}

/** Elsewhere a skill has the name of a folder that its author chose. */
function checkRootName(subject: Subject, path: string, text: string): void {
  try {
    const { name } = parseFrontMatter(text).data;
    if (name !== undefined && name !== null && name !== '') return;
  } catch {
    return; // said below
  }
  subject.warn(
    'SKILL_NAME_MISSING',
    path,
    { offset: 0 },
    'The skill in the root has no name: it is called after the folder it is installed in, otherwise with each version.',
    'Add name: … to its front matter.',
  );
}

function checkHint(subject: Subject, path: string, text: string, data: Record<string, unknown>): void {
  const use = /\$ARGUMENTS\b|(?<![\w$])\$[1-9]\b/.exec(text);
  if (use === null || data['argument-hint'] !== undefined) return;
  const message = `The command uses ${use[0]}, but nothing tells people what to type.`;
  subject.report('note', 'ARGUMENT_HINT_MISSING', path, { offset: use.index }, message, 'Add argument-hint: <what>.');
}

type At = (key: string) => { offset: number };

function checkFields(subject: Subject, path: string, kind: Kind, data: Record<string, unknown>, at: At): void {
  const wrong = (key: string, what: string) =>
    subject.error('FRONT_MATTER_FIELD', path, at(key), `${key} ${what}; Claude Code drops it.`, `Correct ${key}.`);
  const { description } = data;
  if (typeof description === 'object' && description !== null) wrong('description', 'must be text');
  else if (description === undefined || description === null || description === '') {
    subject.warn(
      'DESCRIPTION_MISSING',
      path,
      at('description'),
      `The ${kind} has no description.`,
      'Say what it does and when to use it: models choose by it.',
    );
  } else if (String(description).length > MAX_DESCRIPTION) {
    subject.warn(
      'DESCRIPTION_LONG',
      path,
      at('description'),
      `The description is longer than ${MAX_DESCRIPTION} characters and stays in every context.`,
      'Shorten it; move the rest to the body.',
    );
  }
  if (data.name !== undefined && data.name !== null && typeof data.name !== 'string') wrong('name', 'must be text');
  const { shell } = data;
  if (kind !== 'agent' && shell !== undefined && shell !== null) {
    const known = typeof shell === 'string' && ['bash', 'powershell'].includes(shell.trim().toLowerCase());
    if (!known) wrong('shell', 'must be bash or powershell');
  }
  const grants = data['allowed-tools'];
  if (grants !== undefined && grants !== null && typeof grants !== 'string') {
    if (!Array.isArray(grants)) wrong('allowed-tools', 'must be text or a list of text');
    else if (grants.some((g) => typeof g !== 'string')) wrong('allowed-tools', 'must hold only text');
  }
}

function checkTools(subject: Subject, path: string, kind: Kind, data: Record<string, unknown>, at: At): void {
  const key = kind === 'agent' ? 'tools' : 'allowed-tools';
  const value = data[key];
  const list =
    typeof value === 'string' ? value.replace(/\([^()]*\)/g, '').split(/[,\s]+/) : Array.isArray(value) ? value : [];
  for (const grant of list) {
    if (typeof grant !== 'string') continue;
    const tool = grant.trim().replace(/\(.*$/s, '');
    if (tool === '' || tool === '*' || tool.startsWith('mcp__') || (TOOLS as readonly string[]).includes(tool))
      continue;
    const near = suggest(tool, TOOLS);
    if (near !== undefined)
      subject.warn(
        'TOOL_UNKNOWN',
        path,
        at(key),
        `${tool} is no tool of Claude Code. Did you mean ${near}?`,
        `Write ${near}.`,
      );
  }
}

function checkAgent(
  subject: Subject,
  path: string,
  data: Record<string, unknown>,
  at: At,
  agents: Map<string, string>,
): void {
  if (data.name === undefined || data.name === null || data.name === '') {
    subject.warn(
      'AGENT_NAME_MISSING',
      path,
      at('name'),
      'The agent has no name; its file name is used.',
      'Add name: …',
    );
  } else if (typeof data.name === 'string') {
    const other = agents.get(data.name);
    if (other !== undefined)
      subject.warn(
        'NAME_CLAIMED_TWICE',
        path,
        at('name'),
        `${other} is called ${data.name.slice(0, 60)} too; only one is loaded.`,
        'Rename one.',
      );
    agents.set(data.name, path);
  }
  if (data.permissionMode !== undefined) {
    subject.warn(
      'PERMISSION_MODE_IGNORED',
      path,
      at('permissionMode'),
      "Claude Code ignores permissionMode in a plugin's agent.",
      'Limit what the agent may do by its tools.',
    );
  }
  const { model } = data;
  if (typeof model === 'string' && !MODELS.includes(model) && !/^(claude-|anthropic|[a-z]{2}\.anthropic)/.test(model)) {
    subject.warn(
      'MODEL_UNKNOWN',
      path,
      at('model'),
      `${model.slice(0, 60)} is no model that Claude Code names.`,
      `Use one of ${MODELS.slice(0, 4).join(', ')}.`,
    );
  }
}

function keyOffset(text: string, key: string): number {
  const found = new RegExp(`^${key}[ \\t]*:`, 'm').exec(text.slice(0, 65_536));
  return found?.index ?? 0;
}

function lineOffset(text: string, line: number): number {
  let offset = 0;
  for (let i = 1; i < line; i++) {
    const next = text.indexOf('\n', offset);
    if (next === -1) return offset;
    offset = next + 1;
  }
  return offset;
}
