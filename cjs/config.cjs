'use strict';
// Node requires ES modules, but a test under Jest runs in a world of its own, whose `require` does not: Node's own one does.
const { getBuiltinModule } = require('node:vm').runInThisContext('process');
module.exports = getBuiltinModule('node:module').createRequire(__filename)('../dist/src/config.js');
