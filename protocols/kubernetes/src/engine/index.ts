export { createKubernetesEngine } from './engine.js'
