/** What was used in a session, as far as it belongs to a plugin that we installed. Pure. */

/** Characters of a component's name; the use of one with a longer name is not counted. */
export const MAX_COMPONENT = 200;

export type UseKind = 'command' | 'skill' | 'agent' | 'mcp';

export interface Use {
  plugin: string;
  version: string;
  kind: UseKind;
  component: string;
}

/** What the client's hook says: one of these is given, the others are empty. */
export interface UseEvent {
  /** The name of a slash command. */
  command?: string | undefined;
  /** What the tool `Skill` was asked for: a skill, or a command. */
  skill?: string | undefined;
  /** The kind of agent that was started. */
  agent?: string | undefined;
  /** The full name of a tool. */
  tool?: string | undefined;
}

/** A plugin with the names under which the client knows its components (`PLUGIN:NAME`, or bare where they stand so). */
export interface UsablePlugin {
  name: string;
  version: string;
  /** Commands and skills share their names: both are called with a slash and by the tool `Skill`. */
  commands: ReadonlyMap<string, { kind: 'command' | 'skill'; component: string }>;
  agents: ReadonlyMap<string, string>;
}

/**
 * The component that an event speaks of; null for everything that is not a named component of one of `plugins`, so that
 * nothing a person typed can pass for a name, and for names that are too long. Of an MCP tool the plugin's own server says the name.
 */
export function resolveUse(event: UseEvent, plugins: readonly UsablePlugin[]): Use | null {
  const use = usedOf(event, plugins);
  return use !== null && use.component.length <= MAX_COMPONENT ? use : null;
}

function usedOf(event: UseEvent, plugins: readonly UsablePlugin[]): Use | null {
  const called = event.command || event.skill;
  for (const { name: plugin, version, commands, agents } of plugins) {
    const found = called ? commands.get(called) : undefined;
    if (found !== undefined) return { plugin, version, ...found };
    const agent = !called && event.agent ? agents.get(event.agent) : undefined;
    if (agent !== undefined) return { plugin, version, kind: 'agent', component: agent };
  }
  return called || event.agent || !event.tool ? null : toolOf(event.tool, plugins);
}

/** `mcp__plugin_PLUGIN_SERVER__TOOL`; the client writes `_` for what may not stand in a tool's name. */
function toolOf(tool: string, plugins: readonly UsablePlugin[]): Use | null {
  const longestFirst = [...plugins].sort((a, b) => b.name.length - a.name.length);
  for (const { name, version } of longestFirst) {
    const prefix = `mcp__plugin_${name.replace(/[^A-Za-z0-9_-]/g, '_')}_`;
    if (!tool.startsWith(prefix)) continue;
    const component = tool.slice(prefix.length).replace('__', '/');
    if (/^[A-Za-z0-9_-]+\/[A-Za-z0-9_.-]+$/.test(component)) return { plugin: name, version, kind: 'mcp', component };
  }
  return null;
}

/** One row of counts. */
export interface Counted extends Use {
  /** UTC, YYYY-MM-DD. */
  day: string;
  count: number;
}

export const useKey = (u: Use & { day: string }): string =>
  [u.plugin, u.version, u.kind, u.component, u.day].join('\n');
