/**
 * plugin.json as the rest of the program sees it: the native fields and the seed's `haivemind` block, parsed once.
 */

export type DependencyKind = 'required' | 'optional';

export interface Dependency {
  name: string;
  /** semver range; `*` when the author gave none. */
  range: string;
  kind: DependencyKind;
}

export interface PluginManifest {
  name: string;
  version: string;
  description: string;
  author: { name: string; organization?: string; email?: string; url?: string };
  keywords: string[];
  /** Where the plugin MAY go; empty means anywhere. */
  machineGroups: string[];
  requiredCapabilities: string[];
  minHaivemindVersion?: string;
  /** Ask for bare `/command` names in the native layout. */
  globalCommands: boolean;
  useCases: string[];
  dependencies: Dependency[];
  /** Names of MCP servers that must exist on the machine (seed: dependencies.mcp_servers). */
  mcpServerDependencies: string[];
  /** plugin.json exactly as parsed. */
  raw: Record<string, unknown>;
}
