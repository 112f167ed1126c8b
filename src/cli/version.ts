/** As in package.json, which the commands do without: they run wherever their own files are. */
export const VERSION = '0.1.0';
