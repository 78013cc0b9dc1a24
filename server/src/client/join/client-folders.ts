import type { Config } from '../../machine/config-file.ts';
import { statOf } from '../../machine/files/file-port.ts';
import { type ClientContext, openClient } from '../context.ts';

/**
 * Claude Code's folders that one configuration is for: `~/.claude`, and whatever CLAUDE_CONFIG_DIR named when a plan was followed. All
 * of them are one machine to the hub.
 */

const DEFAULT = '~/.claude';

/** The one of this run, as config.json keeps it: where nothing is set, Claude Code keeps `.claude.json` elsewhere too. */
const folderOf = ({ env, machine }: ClientContext): string => (env.claudeConfigDir ? machine.paths.claudeDir : DEFAULT);

/** What config.json is to name once a plan was followed here. */
export function withOwnFolder(ctx: ClientContext, raw: Record<string, unknown>): string[] {
  const { claude_folders: named } = raw as Pick<Config, 'claude_folders'>;
  return [...new Set([...(named ?? []), folderOf(ctx)])];
}

export interface OtherFolder {
  name: string;
  /** What goes before `hv` to speak of it. */
  variable: string;
  ctx: ClientContext;
}

/** Those besides this run's own in which something of ours lies. @throws HaiveError CONFIG_INVALID */
export async function otherFolders(ctx: ClientContext): Promise<OtherFolder[]> {
  const own = folderOf(ctx);
  const found: OtherFolder[] = [];
  for (const name of ctx.config.claude_folders ?? []) {
    if (name === own) continue;
    const claudeConfigDir = name === DEFAULT ? undefined : name;
    const other = await openClient({ ...ctx.env, claudeConfigDir }, { port: ctx.machine.port, clock: ctx.clock });
    const { receipts, lock } = other.machine.paths;
    if ((statOf(receipts) === null && statOf(lock) === null) || isSame(ctx, other)) continue;
    const variable = `CLAUDE_CONFIG_DIR='${other.machine.paths.claudeDir}' `;
    found.push({ name, variable: claudeConfigDir === undefined ? 'env -u CLAUDE_CONFIG_DIR ' : variable, ctx: other });
  }
  return found;
}

/** A link may lead from one to the other. */
function isSame(a: ClientContext, b: ClientContext): boolean {
  const [here, there] = [a, b].map(({ machine }) => statOf(machine.paths.root));
  return here != null && here.ino === there?.ino && here.dev === there.dev;
}
