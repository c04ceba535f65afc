/** One word of a command line after quoting is resolved. */
export interface Field {
  /** The exact word when known, else as written. */
  readonly text: string
  readonly known: boolean
  /** May become several words, or none. */
  readonly splits: boolean
  /** May turn out to begin with `-`, and so be taken for an option. */
  readonly maybeOption: boolean
}

/** A word whose text is exact. */
export function knownField(text: string): Field {
  return { text, known: true, splits: false, maybeOption: text.startsWith('-') }
}

/** What xargs or find puts in: any number of words of any content. */
export const unknownFields: Field = { text: '{}', known: false, splits: true, maybeOption: true }

/** The texts, when every one of them is known. */
export function exact(fields: readonly Field[]): readonly string[] | undefined {
  return fields.every((field) => field.known) ? fields.map((field) => field.text) : undefined
}
