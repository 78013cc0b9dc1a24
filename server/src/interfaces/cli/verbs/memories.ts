import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { forgetMemory, updateMemory } from '../../../client/collective/change-memory.ts';
import { type MemoryItem, recentMemories, searchMemories, storeMemory } from '../../../client/collective/memory.ts';
import { exportMemories, importFromServer, importMemories } from '../../../client/collective/transfer-memories.ts';
import { Confidentiality, Visibility } from '../../../contract/collective-schemas.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { fileError } from '../../../machine/files/file-port.ts';
import { clean, shorten, table, warnings } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { argument, choiceOption, countOption, laterOption, listOption } from './options.ts';

export const remember: Verb = async (call) => {
  const { options } = call;
  const groups = listOption(options.groups, 'groups');
  if (options.private === true && groups !== undefined)
    throw new HaiveError('USAGE', '--private and --groups exclude each other');
  const kept = await storeMemory(await call.open(), {
    content: call.rest.join(' '),
    category: options.category,
    tags: listOption(options.tags, 'tags'),
    project: options.project,
    importance: countOption(options.importance, 'importance'),
    visibility: options.private === true ? 'private' : undefined,
    groups,
    confidentiality: choiceOption(options.confidentiality, 'confidentiality', Confidentiality.options),
    expires_at: laterOption(options.days, 'days', 24),
  });
  return keptOutput(call, kept);
};

export const recall: Verb = async (call) => {
  const found = await searchMemories(await call.open(), call.rest.join(' '), {
    ...filterOf(call),
    keywords: listOption(call.options.keywords, 'keywords'),
    limit: countOption(call.options.limit, 'limit') ?? 10,
  });
  return listOutput(call, found, 'Nothing is remembered about that. Other words may help: --keywords.');
};

export const memories: Verb = async (call) => {
  const [action = 'list', subject] = call.args;
  switch (action) {
    case 'list': {
      const filter = { ...filterOf(call), limit: countOption(call.options.limit, 'limit') ?? 20 };
      return listOutput(call, await recentMemories(await call.open(), filter), 'Nothing is remembered yet.');
    }
    case 'edit':
      return await edit(call);
    case 'forget': {
      const id = argument(call, 1, 'memory');
      await forgetMemory(await call.open(), id);
      return { json: { forgotten: id }, text: `${call.style.green('✓')} Forgot ${clean(id)}` };
    }
    case 'export':
      return await exportAll(call, subject);
    case 'import':
      return await importAll(call, subject);
    default:
      throw new HaiveError('USAGE', `hv memories ${action} is not known`, {
        hint: 'Use list, edit, forget, export or import.',
      });
  }
};

async function edit(call: VerbCall): Promise<VerbOutput> {
  const { options } = call;
  const change = {
    content: options.content,
    category: options.category,
    project: options.project,
    tags: listOption(options.tags, 'tags'),
    importance: countOption(options.importance, 'importance'),
    visibility: choiceOption(options.visibility, 'visibility', Visibility.options),
    groups: listOption(options.groups, 'groups'),
    confidentiality: choiceOption(options.confidentiality, 'confidentiality', Confidentiality.options),
  };
  if (Object.values(change).every((value) => value === undefined))
    throw new HaiveError('USAGE', 'Nothing to change was given', { hint: 'Give --content, --tags or another option.' });
  return keptOutput(call, await updateMemory(await call.open(), argument(call, 1, 'memory'), change));
}

async function exportAll(call: VerbCall, file: string | undefined): Promise<VerbOutput> {
  const lines = await exportMemories(await call.open(), { own: call.options.shared !== true, shared: true });
  if (file === undefined) return { json: lines.map((line) => JSON.parse(line) as unknown), text: lines.join('\n') };
  const path = resolve(call.cwd, file);
  // Private memories may be among them: nobody else on this host reads the file.
  await writeFile(path, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 }).catch((error: unknown) => {
    throw fileError(error, path);
  });
  const text = `${call.style.green('✓')} ${lines.length} memories are in ${path}`;
  return { json: { file: path, memories: lines.length }, text };
}

async function importAll(call: VerbCall, file: string | undefined): Promise<VerbOutput> {
  const server = call.options.fromServer as string | undefined;
  if ((file === undefined) === (server === undefined))
    throw new HaiveError('USAGE', 'Give a file of JSON lines or --from-server URL, one of them');
  const ctx = await call.open();
  const done =
    server === undefined
      ? { ...(await importMemories(ctx, await textOf(call, file ?? ''))), left: 0 }
      : await importFromServer(ctx, server);
  const left = done.left === 0 ? '' : `; ${done.left} are marked as not for everybody and stay where they are`;
  const text = `${call.style.green('✓')} ${done.added} memories taken in, ${done.known} were known${left}`;
  return { json: done, text };
}

async function textOf(call: VerbCall, file: string): Promise<string> {
  const path = resolve(call.cwd, file);
  return await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new HaiveError('USAGE', `${path} cannot be read (${cause.code})`, { cause });
  });
}

const filterOf = ({ options }: VerbCall) => ({
  category: options.category as string | undefined,
  tag: options.tag as string | undefined,
  machine: options.machine as string | undefined,
  project: options.project as string | undefined,
});

function keptOutput({ style }: VerbCall, kept: MemoryItem): VerbOutput {
  const who = {
    private: 'on this machine alone',
    groups: `for ${kept.groups.join(', ')}`,
    collective: 'for the collective',
  };
  return { json: kept, text: `${style.green('✓')} Kept ${who[kept.visibility]} as ${kept.id}` };
}

function listOutput(
  { style }: VerbCall,
  found: { memories: MemoryItem[]; warning: string | null },
  none: string,
): VerbOutput {
  const rows = found.memories.map((m) => [
    m.id,
    clean(m.machine),
    m.created_at.slice(0, 10),
    [m.category, ...m.tags, ...(m.visibility === 'private' ? ['private'] : [])].map(clean).join(','),
    shorten(m.content, 100),
  ]);
  const list = rows.length === 0 ? none : table(['ID', 'MACHINE', 'DAY', 'MARKS', 'TEXT'], rows, style);
  const warning = found.warning === null ? [] : warnings([found.warning], style);
  return { json: found, text: [list, ...warning].join('\n') };
}
