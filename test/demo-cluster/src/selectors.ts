import { at, isObject, textAt, type JsonObject } from './json.js'
import { badRequest } from './status.js'

/** Whether an object is selected (Kubernetes: "Labels and selectors", "Field selectors"). */
export function selected(object: JsonObject, labelSelector: string, fieldSelector: string): boolean {
  return labelTerms(labelSelector).every((term) => labelHolds(object, term)) && fieldSelector.split(',').filter((term) => term !== '').every((term) => fieldHolds(object, term))
}

function labelTerms(selector: string): string[] {
  return selector.match(/(?:[^,(]|\([^)]*\))+/g) ?? []
}

function labelHolds(object: JsonObject, term: string): boolean {
  const labels = at(object, 'metadata', 'labels')
  const value = (key: string): string | undefined => {
    const found = isObject(labels) ? labels[key] : undefined
    return typeof found === 'string' ? found : undefined
  }
  const set = /^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$/.exec(term)
  if (set) {
    const members = (set[3] ?? '').split(',').map((member) => member.trim())
    return members.includes(value(set[1] ?? '') ?? '') === (set[2] === 'in')
  }
  const equality = /^\s*([\w./-]+)\s*(==|=|!=)\s*([\w./-]*)\s*$/.exec(term)
  if (equality) return ((value(equality[1] ?? '') ?? '') === equality[3]) === (equality[2] !== '!=')
  const exists = /^\s*(!?)([\w./-]+)\s*$/.exec(term)
  if (exists) return (value(exists[2] ?? '') !== undefined) === (exists[1] === '')
  throw badRequest(`unable to parse requirement: ${term}`)
}

function fieldHolds(object: JsonObject, term: string): boolean {
  const match = /^([\w.]+)(==|=|!=)(.*)$/.exec(term)
  if (!match) throw badRequest(`invalid field selector: ${term}`)
  return (textAt(object, ...(match[1] ?? '').split('.')) === match[3]) === (match[2] !== '!=')
}
