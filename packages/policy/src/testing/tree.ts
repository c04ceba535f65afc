import type { ActionTree, Effect, JsonObject } from '../effect.js'

/** A made-up protocol's actions, for tests: the core knows none of the real ones. */
export const testTree: ActionTree = {
  actions: {
    'sql.select': 'reads',
    'sql.insert': 'adds',
    'sql.update': 'changes',
    'sql.delete': 'removes',
    'sql.ddl.create': 'creates',
    'sql.ddl.drop': 'drops',
    'sql.drop_database': 'drops a database',
    'sql.call': 'calls a function',
    'sql.set': 'sets a setting',
    'sql.transaction': 'transactions',
    'sql.unknown': 'unknown syntax',
  },
  aliases: { 'sql.write': ['sql.insert', 'sql.update', 'sql.delete'], 'sql.any': ['sql.write', 'sql.select', 'sql.any'] },
}

export function effect(action: string, resource = '', more: { implied?: true; harmless?: true; details?: JsonObject } = {}): Effect {
  return { action, resource, ...more }
}
