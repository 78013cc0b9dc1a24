// `claude plugin validate --json`, reduced to what the client would refuse or warn of.
import type { TempHome } from '../../support/temp-home.ts';
import { claudePlugin } from './claude-plugin.ts';

export interface Validation {
  success: boolean;
  type: string;
  /** `WHERE: message` of each. */
  errors: string[];
  warnings: string[];
}

interface Report {
  success: boolean;
  manifest: Part & { type: string };
  contents: (Part & { file?: string })[];
}
interface Part {
  errors: Note[];
  warnings: Note[];
}
interface Note {
  path: string;
  message: string;
}

/** Validates a plugin's folder, or one manifest file. Throws when the client prints no report. */
export async function validateByClient(home: TempHome, path: string): Promise<Validation> {
  const run = await claudePlugin(home, 'validate', '--json', path);
  let report: Report;
  try {
    report = JSON.parse(run.stdout) as Report;
  } catch {
    throw new Error(`claude plugin validate ${path} printed no report: ${run.stdout}\n${run.stderr}`);
  }
  const parts = [report.manifest, ...report.contents];
  const notes = (kind: 'errors' | 'warnings') =>
    parts.flatMap((part) => part[kind].map((note) => `${note.path}: ${note.message}`));
  return { success: report.success, type: report.manifest.type, errors: notes('errors'), warnings: notes('warnings') };
}
