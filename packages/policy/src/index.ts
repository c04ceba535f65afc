export * from './effect.js'
export * from './rule.js'
