import type { ActionTree, Effect } from '@sallyport/policy'

/**
 * What the control plane and the CLI need to know of a protocol: the one answer to every question they have, so that
 * neither ever asks for a protocol by name.
 */
export interface ProtocolDescriptor {
  readonly protocol: string
  readonly actions: ActionTree
  /** Validates a Target document's `spec` part of this protocol. Throws {@link TargetSpecError} with a path and a text. */
  parseTargetSpec(spec: unknown): { readonly [key: string]: unknown }
  /**
   * Narrows a target's spec (what {@link parseTargetSpec} returned) to what one session may use, by the client's start
   * parameters, so that the signed grant says it. SSH: `parameters.login` must be one of the target's logins. With it, a
   * client's user name may be `<login>%<target>`, and a credential may be bound to a public key. Pure: it is asked again
   * when documents change. Throws {@link TargetSpecError} with a text for the client.
   */
  resolveSession?(spec: { readonly [key: string]: unknown }, parameters: Readonly<Record<string, string>>): { readonly [key: string]: unknown }
  /** Must be awaited once before {@link analyse}. */
  load(): Promise<void>
  /**
   * Effects of a command as far as they can be told without the target's catalog: names not found are taken to be in
   * the default schema. For policy tests, `policy explain` and `policy check`.
   */
  analyse(text: string): OfflineAnalysis
  /** A command's text without the values in it, by the protocol's own grammar; undefined when they can't be told apart. Never throws. Without it, records that mustn't hold values hold no text. */
  withoutValues?(text: string): string | undefined
}

export interface OfflineAnalysis {
  readonly commands: readonly { readonly text: string; readonly effects: readonly Effect[] }[]
  /** Set when the text can't be parsed. */
  readonly error?: string
}

export class TargetSpecError extends Error {
  constructor(
    readonly path: readonly (string | number)[],
    message: string,
  ) {
    super(message)
  }
}
