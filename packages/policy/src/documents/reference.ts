import { detectors } from '../detectors/registry.js'
import type { ActionTree } from '../effect.js'
import { documentExamples } from './examples.js'
import { alternatives, documentJsonSchema, type JsonSchema } from './json-schema.js'
import { documentKindNames, type DocumentKind } from './kinds.js'

/**
 * The policy reference in Markdown, made from the schemas themselves: every kind with its fields, types, defaults and an
 * example, then how a decision is made, the detectors, and the actions.
 * @param protocols protocol → actions, for the last part; left out without it
 */
export function policyReference(protocols: Readonly<Record<string, ActionTree>> = {}): string {
  return [
    '# Policy reference',
    '',
    'Generated from the schemas: do not edit. A file holds one or more documents, separated by `---`. Every key must be known; a mistake is an error with file, line and a suggestion.',
    '',
    ...documentKindNames.flatMap(kindSection),
    ...semantics,
    ...detectorSection(),
    ...Object.entries(protocols).flatMap(([protocol, tree]) => actionSection(protocol, tree)),
  ].join('\n')
}

interface Row {
  readonly field: string
  readonly schema: JsonSchema
  readonly required: boolean
}

function kindSection(kind: DocumentKind): string[] {
  const schema = documentJsonSchema(kind)
  const metadata = schema.properties?.['metadata']
  const spec = schema.properties?.['spec']
  const rows = [...(metadata ? fieldRows(metadata, 'metadata') : []), ...(spec ? fieldRows(spec, '') : [])]
  return [
    `## ${kind}`,
    '',
    '| field | type | default | meaning |',
    '|---|---|---|---|',
    ...rows.map(
      ({ field, schema: of, required }) =>
        `| \`${field}\` | ${typeText(of)} | ${required ? '*required*' : defaultText(of)} | ${cell(of.description ?? '')} |`,
    ),
    ...(kind === 'Target'
      ? ['| `<protocol>` | map | *required* | The protocol’s own part, under the protocol’s name; see its page. |']
      : []),
    '',
    '```yaml',
    documentExamples[kind].trimEnd(),
    '```',
    '',
  ]
}

/** Fields of an object, and below each object or list of objects, its own. */
function fieldRows(schema: JsonSchema, prefix: string): Row[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const field = prefix === '' ? key : `${prefix}.${key}`
    const inner =
      alternatives(property).find((candidate) => candidate.properties) ??
      alternatives(property).find((candidate) => candidate.items?.properties)
    const below = !inner ? [] : inner.properties ? fieldRows(inner, field) : fieldRows(inner.items ?? {}, `${field}[]`)
    return [{ field, schema: property, required: required.has(key) }, ...below]
  })
}

function typeText(schema: JsonSchema): string {
  if (schema.title !== undefined) return schema.title
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum) return schema.enum.map(code).join(', ')
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeText))].join(' or ')
  if (schema.type === 'array')
    return schema.items?.properties ? 'list of maps' : `list of ${schema.items ? typeText(schema.items) : 'values'}`
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    number: 'number',
    boolean: 'true, false',
    object: 'map',
  }
  return names[schema.type ?? ''] ?? 'any'
}

function defaultText(schema: JsonSchema): string {
  const value = schema.default
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) return ''
  return code(typeof value === 'string' ? value : JSON.stringify(value))
}

function code(value: unknown): string {
  return `\`${String(value)}\``
}

/** A table cell can't hold a bar. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

const semantics = [
  '## How a decision is made',
  '',
  'A command is taken apart into effects: an action on an object, with facts. For each effect:',
  '',
  '1. A `deny` rule that reaches it denies the command. `deny` beats `hold`, `hold` beats `allow`; the order of rules and policies has no meaning.',
  '2. What no `allow` and no `hold` permits is denied (`default-deny`).',
  '3. A `hold` rule that reaches it makes the command wait. Each distinct hold rule that fired is a requirement of its own; the shortest timeout holds (30m when none is given).',
  '4. Effects that follow from another one of the same command (a view’s table) and harmless ones (`BEGIN`) need no permission; `deny` and `hold` reach them.',
  '',
  '**Actions** form a tree: `sql.ddl` covers `sql.ddl.drop`. Groups such as `sql.write` cover their members. `*` covers all.',
  '',
  '**Objects** (`on`): segments between dots are globs (`public.order_*`); a last `*` covers everything below; double quotes make a segment literal (`public."we.ird"`).',
  'A pattern with a slash is a path, and its segments stand between slashes. A kind stands in front (`function public.f`, `setting search_path`); without one, only objects without a kind are meant. `*` alone covers all. Upper and lower case differ.',
  '',
  '**What has to be named.** Objects that reveal secrets or other people’s data are permitted only by a pattern whose first segment is literal (`pg_catalog.pg_authid`), and opaque actions (`sql.unknown`) only by their very name. A restriction reaches them through wildcards.',
  '',
  '**Facts** (`when`) must be equal. A boolean fact that an effect doesn’t mention is false. A list fits a permission when every entry is the value, a restriction when any is. A fact that a protocol can’t tell for certain fits every restriction and no permission.',
  '',
  '**`matching`** is an RE2 pattern over the text of the command. It narrows a rule; text can be written in many ways, so nothing should rest on it alone.',
  '',
  '## Masks',
  '',
  '| with | result |',
  '|---|---|',
  '| `partial` | a little stays: `d***@e***.com`, the last four of numbers, else the first character and `***` |',
  '| `hash` | 16 hex digits of a keyed hash: equal values stay equal |',
  '| `redact` | `[redacted]` |',
  '| `null` | NULL |',
  '',
  'When several apply, the strictest wins: null, redact, hash, partial. A column computed from a masked one is masked, too; `partial` and `hash` become `redact` there. When it can’t be told where a result comes from, and any mask is by column, it is redacted.',
  '',
]

function detectorSection(): string[] {
  return [
    '## Detectors',
    '',
    '| detector | group | finds |',
    '|---|---|---|',
    ...detectors.map(({ name, group, about }) => `| \`${name}\` | \`${group}\` | ${cell(about)} |`),
    '',
  ]
}

function actionSection(protocol: string, tree: ActionTree): string[] {
  return [
    `## Actions: ${protocol}`,
    '',
    '| action | covers |',
    '|---|---|',
    ...Object.entries(tree.actions).map(([name, about]) => `| \`${name}\` | ${cell(about)} |`),
    ...Object.entries(tree.aliases).map(([name, members]) => `| \`${name}\` | ${members.map(code).join(', ')} |`),
    '',
  ]
}
