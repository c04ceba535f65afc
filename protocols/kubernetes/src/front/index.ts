export { kubernetesFront } from './front.js'
