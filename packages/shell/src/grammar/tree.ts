/**
 * The part of mvdan/sh's syntax tree that matters for "what would run". Control flow is gone (every branch may run), what
 * is evaluated and could run code is kept as statements, and whatever this tree has no room for is a `hazard`: a reason
 * why the surrounding text can't be vouched for.
 */
export interface Word {
  readonly parts: readonly Part[]
  /** As written, quotes included. */
  readonly source: string
}

export type Part =
  /** Unquoted or inside double quotes: backslashes are still in it. */
  | { readonly kind: 'literal'; readonly raw: string }
  | { readonly kind: 'single'; readonly value: string; /** $'…', escapes still in it. */ readonly ansi: boolean }
  | { readonly kind: 'double'; readonly parts: readonly Part[]; /** $"…": translated at run time. */ readonly translated: boolean }
  | Dynamic

/** Known at run time only: expansions, substitutions, arithmetic. */
export interface Dynamic {
  readonly kind: 'dynamic'
  /** Split into words when it isn't in double quotes. */
  readonly splits: boolean
  /** Several words even in double quotes: $@, ${a[@]}. */
  readonly list: boolean
  /** What runs when it is expanded. */
  readonly nested: readonly Statement[]
  /** Variables that it sets: ${NAME:=value}. */
  readonly names: readonly string[]
  readonly hazards: readonly string[]
}

export interface Assign {
  readonly name: string
  /** `export NAME`, or a word that isn't an assignment at all (`-x`, `$name`): nothing is assigned. */
  readonly naked: boolean
  readonly append: boolean
  readonly value: Word | undefined
  /** Words of `(…)`, subscripts included. */
  readonly elements: readonly Word[] | undefined
  readonly hazards: readonly string[]
  readonly source: string
}

export interface Redirect {
  readonly operator: string
  /** '' when not written. */
  readonly descriptor: string
  readonly word: Word
  readonly heredoc: Word | undefined
}

export type Command =
  | { readonly kind: 'call'; readonly assigns: readonly Assign[]; readonly words: readonly Word[]; readonly source: string }
  | { readonly kind: 'declaration'; readonly variant: string; readonly args: readonly Assign[]; readonly source: string }
  | { readonly kind: 'function'; readonly name: string; readonly body: Statement }
  | { readonly kind: 'time'; readonly statement: Statement | undefined }
  | {
      readonly kind: 'compound'
      readonly statements: readonly Statement[]
      /** Evaluated, but no command: items of a loop, the word and the patterns of `case`. */
      readonly words: readonly Word[]
      /** Variables that it sets. */
      readonly names: readonly string[]
      readonly hazards: readonly string[]
      readonly source: string
    }

export interface Statement {
  readonly command: Command | undefined
  readonly redirects: readonly Redirect[]
  readonly hazards: readonly string[]
  readonly source: string
}
