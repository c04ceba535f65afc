import { ProtocolError } from '../codec/index.js'
import type { Expected, Run } from './expected.js'

/** The command whose results come now. */
export function runOf(head: Expected | undefined): Run | undefined {
  if (head?.kind === 'query') return head.runs[head.current]
  return head?.kind === 'execute' ? head.portal.run : undefined
}

/** @throws {ProtocolError} when the target sent something else */
export function need(type: number, wanted: number): void {
  if (type !== wanted) throw unexpected(type)
}

/** The target sent what can't come now. */
export function unexpected(type: number): ProtocolError {
  return new ProtocolError(`the target sent an unexpected message '${String.fromCharCode(type)}'`)
}
