import { createHash } from 'node:crypto'
import type { Effect, JsonObject } from '@sallyport/policy'

/** One unit that a policy decides. Built by an engine from what the client sent. */
export interface Command {
  readonly text: string
  /** Values bound to the text. Text as is; binary values as `\x` + hex. */
  readonly parameters?: readonly (string | null)[]
  readonly effects: readonly Effect[]
  /** Protocol facts that change what the command would do (transaction state, parameter formats); part of the digest. */
  readonly facts?: JsonObject
}

/** What a command is bound to besides itself. */
export interface CommandScope {
  readonly session: string
  readonly target: string
  readonly identity: string
}

/**
 * The digest that an approval is bound to: SHA-256 over a length-prefixed encoding of every part, so that no two
 * different commands share one (no separator can be forged). Hex.
 */
export function commandDigest(command: Command, scope: CommandScope): string {
  const hash = createHash('sha256')
  hash.update('sallyport-command-v1')
  const part = (value: string): void => {
    const bytes = Buffer.from(value, 'utf8')
    const length = Buffer.alloc(8)
    length.writeBigUInt64BE(BigInt(bytes.length))
    hash.update(length).update(bytes)
  }
  part(scope.session)
  part(scope.target)
  part(scope.identity)
  part(command.text)
  part(String(command.parameters?.length ?? -1))
  for (const parameter of command.parameters ?? []) part(parameter === null ? 'n' : 'v' + parameter)
  part(JSON.stringify(command.facts ?? {}))
  return hash.digest('hex')
}
