import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The published rules of the classes used: `extract.py` made them out of the schema. */
interface Rule {
  /** Type, or the object's name. */
  readonly t: string
  readonly o?: 1
  readonly r?: 1
  readonly a?: 1
  readonly p?: string
  readonly e?: Readonly<Record<string, string>>
  /** Attribute that holds the caption. */
  readonly s?: string
}

interface Rules {
  readonly attributes: Readonly<Record<string, Rule>>
  readonly constraints?: { readonly at_least_one?: readonly string[]; readonly just_one?: readonly string[] }
}

interface Schema {
  readonly version: string
  readonly classes: Readonly<Record<string, Rules & { readonly name: string; readonly category: number; readonly category_name: string }>>
  readonly objects: Readonly<Record<string, Rules>>
}

const schema: Schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../../src/sinks/ocsf/ocsf-1.5.0.json'), 'utf8'))

type Values = Readonly<Record<string, unknown>>
const isValues = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Everything in which an event departs from the published schema; empty when it conforms. */
export function ocsfProblems(event: unknown): string[] {
  if (!isValues(event)) return ['not an object']
  const found = schema.classes[String(event['class_uid'])]
  if (!found) return [`class_uid ${String(event['class_uid'])} is not one of those used`]
  const metadata = isValues(event['metadata']) ? event['metadata'] : {}
  const profiles = Array.isArray(metadata['profiles']) ? metadata['profiles'].map(String) : []
  const problems = checkRules('', event, found, profiles)
  const expect = (name: string, wanted: unknown): void => {
    if (event[name] !== wanted) problems.push(`${name} is ${String(event[name])}, the schema says ${String(wanted)}`)
  }
  expect('class_name', found.name)
  expect('category_uid', found.category)
  expect('category_name', found.category_name)
  expect('type_uid', Number(event['class_uid']) * 100 + Number(event['activity_id']))
  if (metadata['version'] !== schema.version) problems.push('metadata.version is not the version of the schema')
  return problems
}

function checkRules(path: string, values: Values, { attributes, constraints }: Rules, profiles: readonly string[]): string[] {
  const problems: string[] = []
  const applies = (rule: Rule): boolean => rule.p === undefined || profiles.includes(rule.p)
  for (const [name, rule] of Object.entries(attributes)) {
    if (rule.r === 1 && applies(rule) && values[name] === undefined) problems.push(`${path}${name} is required`)
  }
  for (const [name, value] of Object.entries(values)) {
    const rule = attributes[name]
    if (!rule || !applies(rule)) problems.push(`${path}${name} is not an attribute here`)
    else problems.push(...checkValue(path + name, value, rule, values, profiles))
  }
  const there = (names: readonly string[]): number => names.filter((name) => values[name] !== undefined).length
  if (constraints?.at_least_one && there(constraints.at_least_one) === 0) problems.push(`${path} needs one of ${constraints.at_least_one.join(', ')}`)
  if (constraints?.just_one && there(constraints.just_one) !== 1) problems.push(`${path} needs exactly one of ${constraints.just_one.join(', ')}`)
  return problems
}

function checkValue(path: string, value: unknown, rule: Rule, siblings: Values, profiles: readonly string[]): string[] {
  if (rule.a === 1) {
    if (!Array.isArray(value)) return [`${path} must be a list`]
    const { a: _, ...one } = rule
    return value.flatMap((item: unknown, i) => checkValue(`${path}[${i}]`, item, one, siblings, profiles))
  }
  if (rule.o === 1) {
    if (!isValues(value)) return [`${path} must be an object`]
    if (rule.t === 'object') return []
    const rules = schema.objects[rule.t]
    return rules ? checkRules(`${path}.`, value, rules, profiles) : [`${path} is of the type ${rule.t}, whose rules were not taken over`]
  }
  if (!hasType(value, rule.t)) return [`${path} must be of the type ${rule.t}`]
  if (!rule.e) return []
  const caption = rule.e[String(value)]
  if (caption === undefined) return [`${path} is ${String(value)}, which the schema does not list`]
  const told = rule.s === undefined ? undefined : siblings[rule.s]
  // 99, Other: the source names it itself.
  return told === undefined || value === 99 || told === caption ? [] : [`${path} is ${caption}, but ${String(rule.s)} says ${JSON.stringify(told)}`]
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'integer_t':
    case 'long_t':
    case 'timestamp_t':
      return Number.isSafeInteger(value)
    case 'port_t':
      return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65535
    case 'boolean_t':
      return typeof value === 'boolean'
    case 'json_t':
      return true
    case 'ip_t':
      return typeof value === 'string' && /^[0-9a-fA-F.:]+$/.test(value)
    default:
      return typeof value === 'string'
  }
}
