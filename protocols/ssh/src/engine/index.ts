export { createSshEngine } from './engine.js'
