/** What the search knows of one plugin; written from the registry by documents.ts. */
export interface SearchDocument {
  /** Unique: a second document of this name replaces the first. */
  name: string;
  description: string;
  keywords: readonly string[];
  useCases: readonly string[];
  components: readonly SearchComponent[];
  /** Opening text of the readme and of the components, front matter left out. */
  body: string;
}

export interface SearchComponent {
  kind: 'command' | 'agent' | 'skill' | 'hook' | 'mcp';
  name: string;
  description: string;
}

/** The fields that are weighted apart, in the order of their numbers in the index. */
export const FIELDS = ['name', 'description', 'keywords', 'component', 'component description', 'body'] as const;
export type Field = (typeof FIELDS)[number];
