import type { ClientContext } from '../../client/context.ts';
import type { Environment } from '../environment.ts';
import type { Style, VerbOutput } from './output.ts';

export type { VerbOutput } from './output.ts';

/** What every verb gets. */
export interface VerbCall {
  args: (string | undefined)[];
  /** The arguments of a verb that takes any number. */
  rest: string[];
  // biome-ignore lint/suspicious/noExplicitAny: each verb reads the options that its own row of the table declares
  options: Record<string, any>;
  env: Environment;
  style: Style;
  json: boolean;
  cwd: string;
  /** The file that runs now. */
  program: string;
  /** Opens the machine; verbs that need nothing of it do not. */
  open(): Promise<ClientContext>;
  /** A line that is overwritten by the next; only on a terminal. */
  progress(text: string): void;
  /** Asks a person yes or no; absent where nobody can answer. */
  confirm?: ((question: string) => Promise<boolean>) | undefined;
  /** For verbs that run until they are stopped: a line at once. */
  say(text: string): void;
}

export type Verb = (call: VerbCall) => Promise<VerbOutput>;

export interface VerbRow {
  name: string;
  /** As commander writes them: `<dir>`, `[name]`, `[names...]`. */
  args?: string;
  summary: string;
  /** Flags, what they do, and a default. */
  options?: [flags: string, text: string][];
  examples: string[];
  load: () => Promise<Verb>;
}
