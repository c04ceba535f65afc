import type { ActionTree } from '../effect.js'

/** What documents are checked against, besides their own shape. Comes from the list of protocols. */
export interface DocumentContext {
  /** Protocol name → its actions. */
  readonly actionTrees: Readonly<Record<string, ActionTree>>
  /** Validates the protocol's own part of a Target. Throws an error with a message and, if it can, a `path` inside that part. */
  parseTargetSpec(protocol: string, spec: unknown): Readonly<Record<string, unknown>>
}
