import type { Denial, Permit } from '@sallyport/kit'
import type { CompiledMasks } from '@sallyport/policy'
import type { StatementAnalysis } from '../analyse/types.js'
import type { FieldDescription } from '../codec/index.js'
import type { CopyMask } from './masking/copy-mask.js'
import type { RowMask } from './masking/row-mask.js'
import type { Preview } from './preview.js'
import type { Statement } from './statement.js'

/** A permitted command while it runs. */
export interface Run {
  readonly permit: Permit
  readonly analysis: StatementAnalysis
  readonly statement: Statement | undefined
  /** Result formats as bound; undefined for the simple protocol (text). */
  readonly formats: readonly number[] | undefined
  fields: readonly FieldDescription[] | undefined
  /** Undefined until the first row; null: nothing to mask. `masks` are those that it was made from: a policy may change while rows come. */
  rowMask: { readonly mask: RowMask | null; readonly masks: CompiledMasks } | undefined
  copyMask: CopyMask | undefined
  preview: Preview | undefined
  rows: number
  bytes: number
  masked: number
  done: boolean
}

/** A portal: a bound statement whose permit was given at Bind. */
export interface Portal {
  readonly name: string
  readonly statement: Statement
  readonly run: Run
}

/**
 * What the target still owes an answer to, in order. An error makes it skip to the next `sync`
 * (PostgreSQL protocol, "Extended Query").
 */
export type Expected =
  | { readonly kind: 'parse'; readonly statement: Statement }
  | { readonly kind: 'bind'; readonly portal: Portal }
  | { readonly kind: 'describe'; readonly statement: Statement | undefined; readonly of: 'statement' | 'portal'; readonly portal: Portal | undefined; readonly hidden: boolean }
  | { readonly kind: 'execute'; readonly portal: Portal }
  | { readonly kind: 'close'; readonly of: 'statement' | 'portal'; readonly name: string }
  | { readonly kind: 'sync' }
  | { readonly kind: 'query'; readonly runs: readonly Run[]; current: number }
  /** Provokes an error at the target, so that client and target agree on what state a denial leaves. */
  | { readonly kind: 'poison'; readonly protocol: 'simple' | 'extended'; readonly error: Buffer; reported: boolean }
  /** Our own query; the client never sees its answers. */
  | { readonly kind: 'hidden'; readonly step: 'parse' | 'bind' | 'execute' | 'close' | 'sync'; readonly query: HiddenQuery }

export interface HiddenQuery {
  readonly rows: string[]
  resolve(rows: string[]): void
  reject(error: Error): void
}

/** The client sees this denial as an ordinary server error. */
export interface NativeError {
  readonly denial: Denial
}
