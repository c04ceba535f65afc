import { z } from 'zod'
import type { DocumentContext } from './context.js'
import { labelsField, nameField, textField } from './fields.js'
import { groupMappingSpec, groupSpec, identityProviderSpec, userSpec, workloadSpec } from './identity.js'
import { policySpec } from './policy.js'
import { retentionSpec } from './retention.js'
import { sinkSpec } from './sink.js'
import { targetSpec } from './target.js'

export const apiVersion = 'sallyport.dev/v1'

const metadata = z.strictObject({
  name: nameField.meta({ description: 'Unique among documents of its kind.' }),
  labels: labelsField.prefault({}).meta({ description: 'For selecting; a Target’s labels are what policies match on.' }),
  description: textField.optional().meta({ description: 'For people.' }),
})

/** One document kind: its schema and a reader that makes the typed document. */
function defineKind<const K extends string, T>(kind: K, spec: z.ZodType<T>) {
  const schema = z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata, spec })
  return {
    schema,
    read(value: unknown, place: DocumentPlace): ReadResult<DocumentOf<K, T>> {
      const parsed = schema.safeParse(value, { reportInput: true })
      if (!parsed.success) return { issues: parsed.error.issues }
      return { document: { kind, name: parsed.data.metadata.name, labels: parsed.data.metadata.labels, spec: parsed.data.spec, ...place } }
    },
  }
}

export interface DocumentPlace {
  /** The document's own text, comments included. */
  readonly text: string
  readonly path: string
  /** Line of the file on which it begins, from 1. */
  readonly line: number
}

export interface DocumentOf<K extends string, T> extends DocumentPlace {
  readonly kind: K
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly spec: T
}

export type ReadResult<D> = { readonly document: D } | { readonly issues: readonly z.core.$ZodIssue[] }

/** The one list of document kinds. */
export function documentKinds(context: DocumentContext) {
  return {
    IdentityProvider: defineKind('IdentityProvider', identityProviderSpec),
    Workload: defineKind('Workload', workloadSpec),
    User: defineKind('User', userSpec),
    Group: defineKind('Group', groupSpec),
    GroupMapping: defineKind('GroupMapping', groupMappingSpec),
    Target: defineKind('Target', targetSpec(context)),
    Policy: defineKind('Policy', policySpec(context)),
    Sink: defineKind('Sink', sinkSpec),
    Retention: defineKind('Retention', retentionSpec),
  }
}

export type DocumentKinds = ReturnType<typeof documentKinds>
export type DocumentKind = keyof DocumentKinds

type Read<K extends DocumentKind> = Extract<ReturnType<DocumentKinds[K]['read']>, { document: unknown }>['document']

export type IdentityProviderDocument = Read<'IdentityProvider'>
export type WorkloadDocument = Read<'Workload'>
export type UserDocument = Read<'User'>
export type GroupDocument = Read<'Group'>
export type GroupMappingDocument = Read<'GroupMapping'>
export type TargetDocument = Read<'Target'>
export type PolicyDocument = Read<'Policy'>
export type SinkDocument = Read<'Sink'>
export type RetentionDocument = Read<'Retention'>
export type Document = { [K in DocumentKind]: Read<K> }[DocumentKind]
export type DocumentByKind = { readonly [K in DocumentKind]: Read<K> }

export const documentKindNames = [
  'IdentityProvider',
  'Workload',
  'User',
  'Group',
  'GroupMapping',
  'Target',
  'Policy',
  'Sink',
  'Retention',
] as const satisfies readonly DocumentKind[]

export function isDocumentKind(text: unknown): text is DocumentKind {
  return documentKindNames.some((kind) => kind === text)
}
