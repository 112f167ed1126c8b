import { OperationError } from '../core/errors.ts';
import type { StoreArea } from '../core/ports.ts';

/** Where in a directory the documents of each area lie. Paths are relative and `/`-separated. */
export interface DirectoryLayout {
  /** A document's path; documents of one area never share one. Errors: `STORE_NAME` for a name that has no place here. */
  pathOf(area: StoreArea, name: string): string;
  /** The name of the document at a path; null where no document of this area lies. The inverse of `pathOf`. */
  nameOf(area: StoreArea, path: string): string | null;
  /** The folder that holds every document whose name starts with the prefix, and whether folders in it are looked at. */
  folderOf(area: StoreArea, prefix: string): { readonly folder: string; readonly deep: boolean };
}

/** One folder for each area, names below it as they are: what Azure's containers are. */
export const areaFolders: DirectoryLayout = {
  pathOf: (area, name) => `${area}/${name}`,
  nameOf: (area, path) => (path.startsWith(`${area}/`) ? path.slice(area.length + 1) : null),
  folderOf: (area, prefix) => ({ folder: `${area}/${prefix}`.replace(/\/[^/]*$/, ''), deep: true }),
};

const ARTIFACT: Readonly<Record<'baselines' | 'reports', RegExp>> = {
  baselines: /^[A-Za-z0-9_-]{1,64}_snapshot\.json(?:\.sha256)?$/,
  reports: /^[A-Za-z0-9_-]{1,64}_(?:snapshot\.json(?:\.sha256)?|drift\.json)$/,
};

/**
 * One VM's artifacts directly in the directory, `{session}_snapshot.json`, `.sha256` and `{session}_drift.json`, where
 * the agents of the reference tool look for them; `runs` and `state` have a folder each. Baselines and the snapshots of
 * later comparisons meet in one place here, so a session id is used once.
 *
 * @param vmKey the names' first segment, which is left out of the paths; '' when names have one segment
 */
export function flatLayout(vmKey = ''): DirectoryLayout {
  const lead = vmKey === '' ? '' : `${vmKey}/`;
  return {
    pathOf(area, name) {
      if (area === 'runs' || area === 'state') return areaFolders.pathOf(area, name);
      const file = name.startsWith(lead) ? name.slice(lead.length) : '';
      if (!ARTIFACT[area].test(file)) {
        throw new OperationError('STORE_NAME', area, 'this directory holds the artifacts of one VM, and nothing else');
      }
      return file;
    },
    nameOf(area, path) {
      if (area === 'runs' || area === 'state') return areaFolders.nameOf(area, path);
      return ARTIFACT[area].test(path) ? `${lead}${path}` : null;
    },
    folderOf: (area, prefix) =>
      area === 'runs' || area === 'state' ? areaFolders.folderOf(area, prefix) : { folder: '', deep: false },
  };
}
