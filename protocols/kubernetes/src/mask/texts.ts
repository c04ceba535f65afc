import { textSentinel } from './sentinel.js'

const timestamp = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const identifier = /^[A-Za-z0-9](?:[A-Za-z0-9./_-]{0,251}[A-Za-z0-9])?$/
const label = /^[A-Za-z0-9._-]{0,63}$/

/** A time or a UUID as the API server writes them: their digits are no card's. */
export function isTimeOrUid(text: string): boolean {
  return text.length <= 36 && (timestamp.test(text) || uuid.test(text))
}

/** What `kind` and `apiVersion` hold. */
export function isIdentifier(text: string): boolean {
  return identifier.test(text)
}

/** What the API server takes as a label's value. */
export function isLabelValue(text: string): boolean {
  return label.test(text)
}

const yamlKind = /^[ \t-]*["']?kind["']?[ \t]*:[ \t]*["']?secret(?:list)?["']?[ \t]*(?:#.*)?\r?$/im
const yamlData = /^[ \t-]*["']?(?:data|stringdata)["']?[ \t]*:/im

/** A manifest in YAML inside a string, with a Secret and its data among its documents. */
export function holdsYamlSecret(text: string): boolean {
  return /secret/i.test(text) && yamlKind.test(text) && yamlData.test(text)
}

/** Text that looks like JSON or flow YAML but can't be read as one JSON value: whether it may hold a Secret. */
export function mayHoldSecret(text: string): boolean {
  return /\bkind["'\\]{0,8}\s{0,8}:\s{0,8}["'\\]{0,8}secret/i.test(text) && /data["'\\]{0,8}\s{0,8}:/i.test(text)
}

/**
 * Messages about a Secret that was refused quote what was in it: `data[x]: Invalid value: "…": must …`
 * (apimachinery's field.Error). From the value on, nothing is kept.
 */
export function withoutQuotedValue(text: string): string {
  const at = text.search(/value:/i)
  return at < 0 ? text : `${text.slice(0, at + 'value:'.length)} ${textSentinel}`
}

const age = /^(?:<unknown>|<invalid>|(?:\d{1,6}[smhdy]){1,3})$/
const secretType = /^(?:Opaque|[a-z0-9.-]{1,128}\/[a-z0-9.-]{1,63})$/
const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/

/** The cells that the API server prints for a Secret: its name first, then type, number of keys, age. Anything else may be a value. */
export function isSecretCell(text: string, position: number): boolean {
  return position === 0 ? objectName.test(text) : age.test(text) || (position === 1 && secretType.test(text))
}

const secretTypes = new RegExp(
  [
    '^(?:opaque',
    String.raw`kubernetes\.io\/(?:tls|basic-auth|ssh-auth|dockercfg|dockerconfigjson|service-account-token)`,
    String.raw`bootstrap\.kubernetes\.io\/token|helm\.sh\/release\.v\d+)$`,
  ].join('|'),
  'i',
)

/** Types of Secrets that Kubernetes and Helm define: an object of such a type is one, whatever it lacks. */
export function isSecretType(text: string): boolean {
  return secretTypes.test(text)
}

/** Annotations in which tools keep what was applied. */
export function keepsApplied(key: string): boolean {
  return /applied|original|last-?config|manifest/i.test(key)
}

/**
 * An annotation of a Secret that may repeat its values: `openshift.io/token-secret.value`, long base64 that might be a
 * compressed copy of the object (Rancher's `objectset.rio.cattle.io/applied`), manifests that can't be read.
 */
export function repeatsSecret(key: string, text: string): boolean {
  return (
    /[./_-]value$/i.test(key) ||
    (text.length >= 64 && /^[A-Za-z0-9+/_=.\s-]+$/.test(text)) ||
    (!/^\s*[[{]/.test(text) && mayHoldSecret(text))
  )
}
