// What .NET has of Windows and lacks elsewhere, as far as our scripts use it: registry, accounts, permissions, pipes with permissions,
// keys of CNG. Everything lies below the folder that RMM_FAKE names, so that all processes of a device see the same.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;

namespace Faked
{
    public static class Place
    {
        public static string Root => System.Environment.GetEnvironmentVariable("RMM_FAKE") ?? "/tmp/rmm-fake";
        public static FileStream Lock(string name)
        {
            for (int i = 0; ; i++)
            {
                try { return new FileStream(Path.Combine(Root, name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); }
                catch (IOException) { if (i > 2000) throw; Thread.Sleep(5); }
            }
        }
    }

    // Collections of COM are numbered, grow, and can be gone through.
    public sealed class Collection : IEnumerable
    {
        readonly List<object> list = new List<object>();
        public int Count => list.Count;
        public object Item(int at) => list[at];
        public int Add(object one) { list.Add(one); return list.Count - 1; }
        public IEnumerator GetEnumerator() => list.GetEnumerator();
    }

    public static class Environment
    {
        public static string SystemDirectory => Path.Combine(Place.Root, "Windows/System32");
        public static string CurrentDirectory
        {
            get => System.Environment.CurrentDirectory;
            set => System.Environment.CurrentDirectory = value;
        }
        public static string MachineName => "WS-1";
        public static string GetFolderPath(string folder)
        {
            var name = folder == "System" ? "Windows/System32" : folder == "Windows" ? "Windows" : folder == "ProgramFiles" ? "Program Files" : "ProgramData";
            var path = Path.Combine(Place.Root, name);
            Directory.CreateDirectory(path);
            return path;
        }
        // For the machine: what is told of it stays in a file.
        public static void SetEnvironmentVariable(string name, string value, EnvironmentVariableTarget target) =>
            File.AppendAllText(Path.Combine(Place.Root, "calls"), "SetEnvironmentVariable " + name + "=" + value + " " + target + "\n");
        public static bool Is64BitOperatingSystem => true;
        public static bool Is64BitProcess => true;
        public static string GetEnvironmentVariable(string name) => System.Environment.GetEnvironmentVariable(name);
    }
}

namespace Faked.Win32
{
    public enum RegistryHive { ClassesRoot, CurrentUser, LocalMachine, Users, PerformanceData, CurrentConfig }
    public enum RegistryView { Default = 0, Registry64 = 0x100, Registry32 = 0x200 }
    public enum RegistryValueKind { String = 1, ExpandString = 2, Binary = 3, DWord = 4, MultiString = 7, QWord = 11, Unknown = 0, None = -1 }
    [Flags] public enum RegistryValueOptions { None = 0, DoNotExpandEnvironmentNames = 1 }

    // One line for each key and value: key TAB name TAB kind TAB data; a key has no kind.
    class Hive
    {
        public readonly SortedDictionary<string, string> Keys = new SortedDictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        public readonly List<(string Key, string Name, RegistryValueKind Kind, string Data)> Values = new List<(string, string, RegistryValueKind, string)>();
        static string Enc(string text) => Uri.EscapeDataString(text);
        static string Dec(string text) => Uri.UnescapeDataString(text);

        public static T Use<T>(bool write, Func<Hive, T> what)
        {
            using (Place.Lock("registry.lock"))
            {
                var file = Path.Combine(Place.Root, "registry");
                var hive = new Hive();
                if (File.Exists(file))
                {
                    foreach (var line in File.ReadAllLines(file))
                    {
                        var parts = line.Split('\t');
                        var key = Dec(parts[0]);
                        hive.Make(key);
                        if (parts.Length > 3) hive.Values.Add((key, Dec(parts[1]), (RegistryValueKind)Enum.Parse(typeof(RegistryValueKind), parts[2]), Dec(parts[3])));
                    }
                }
                var answer = what(hive);
                if (write)
                {
                    var lines = hive.Keys.Keys.Select(Enc).ToList();
                    lines.AddRange(hive.Values.Select(v => Enc(v.Key) + "\t" + Enc(v.Name) + "\t" + v.Kind + "\t" + Enc(v.Data)));
                    File.WriteAllLines(file, lines);
                }
                return answer;
            }
        }

        public void Make(string key)
        {
            for (var at = key; ; at = at.Substring(0, at.LastIndexOf('\\')))
            {
                if (!Keys.ContainsKey(at)) Keys[at] = at;
                if (at.IndexOf('\\') < 0) return;
            }
        }
    }

    public sealed class RegistryKey : IDisposable
    {
        readonly string path;
        readonly bool writable;
        bool closed;
        RegistryKey(string path, bool writable) { this.path = path; this.writable = writable; }
        public string Name => path;
        public string PSPath => "Microsoft.PowerShell.Core\\Registry::" + path;
        public string PSChildName => path.Substring(path.LastIndexOf('\\') + 1);

        static readonly string[] Long = { "HKEY_CLASSES_ROOT", "HKEY_CURRENT_USER", "HKEY_LOCAL_MACHINE", "HKEY_USERS", "HKEY_PERFORMANCE_DATA", "HKEY_CURRENT_CONFIG" };
        public static RegistryKey OpenBaseKey(RegistryHive hive, RegistryView view) => new RegistryKey(Long[(int)hive], true);
        internal static RegistryKey Whole(string path, bool make)
        {
            var cut = path.IndexOf('\\');
            var root = new RegistryKey(cut < 0 ? path : path.Substring(0, cut), true);
            if (!Long.Contains(root.path.ToUpperInvariant())) throw new ArgumentException("Registry key name must start with a valid base key name.");
            return cut < 0 ? root : make ? root.CreateSubKey(path.Substring(cut + 1)) : root.OpenSubKey(path.Substring(cut + 1), true);
        }

        string At(string name) => string.IsNullOrEmpty(name) ? path : path + "\\" + name;
        void Alive() { if (closed) throw new ObjectDisposedException(path, "Cannot access a closed registry key."); }
        void Write() { Alive(); if (!writable) throw new UnauthorizedAccessException("Cannot write to the registry key."); }

        public RegistryKey OpenSubKey(string name) => OpenSubKey(name, false);
        public RegistryKey OpenSubKey(string name, bool writable)
        {
            Alive();
            if (name == null) throw new ArgumentNullException("name");
            if (At(name).IndexOf("Locked", StringComparison.OrdinalIgnoreCase) >= 0 && writable) throw new System.Security.SecurityException("Requested registry access is not allowed.");
            return Hive.Use(false, hive => hive.Keys.ContainsKey(At(name)) ? new RegistryKey(At(name), writable) : null);
        }
        public RegistryKey CreateSubKey(string name)
        {
            Write();
            if (At(name).IndexOf("Locked", StringComparison.OrdinalIgnoreCase) >= 0) throw new UnauthorizedAccessException("Access to the registry key '" + At(name) + "' is denied.");
            Hive.Use(true, hive => { hive.Make(At(name)); return 0; });
            return new RegistryKey(At(name), true);
        }
        public void DeleteSubKeyTree(string name) => DeleteSubKeyTree(name, true);
        public void DeleteSubKeyTree(string name, bool must)
        {
            Write();
            var found = Hive.Use(true, hive =>
            {
                bool Below(string key) => key.Equals(At(name), StringComparison.OrdinalIgnoreCase) || key.StartsWith(At(name) + "\\", StringComparison.OrdinalIgnoreCase);
                var gone = hive.Keys.Keys.Where(Below).ToList();
                foreach (var key in gone) hive.Keys.Remove(key);
                hive.Values.RemoveAll(v => Below(v.Key));
                return gone.Count > 0;
            });
            if (!found && must) throw new ArgumentException("Cannot delete a subkey tree because the subkey does not exist.");
        }
        public string[] GetSubKeyNames()
        {
            Alive();
            return Hive.Use(false, hive => hive.Keys.Keys.Where(k => k.StartsWith(path + "\\", StringComparison.OrdinalIgnoreCase))
                .Select(k => k.Substring(path.Length + 1)).Where(k => k.IndexOf('\\') < 0).ToArray());
        }
        public string[] GetValueNames()
        {
            Alive();
            return Hive.Use(false, hive => hive.Values.Where(v => v.Key.Equals(path, StringComparison.OrdinalIgnoreCase)).Select(v => v.Name).ToArray());
        }
        static bool Is((string Key, string Name, RegistryValueKind Kind, string Data) v, string key, string name) =>
            v.Key.Equals(key, StringComparison.OrdinalIgnoreCase) && v.Name.Equals(name ?? "", StringComparison.OrdinalIgnoreCase);
        public RegistryValueKind GetValueKind(string name)
        {
            Alive();
            return Hive.Use(false, hive =>
            {
                var at = hive.Values.FindIndex(v => Is(v, path, name));
                if (at < 0) throw new IOException("The specified registry key does not exist.");
                return hive.Values[at].Kind;
            });
        }
        public object GetValue(string name) => GetValue(name, null, RegistryValueOptions.None);
        public object GetValue(string name, object otherwise) => GetValue(name, otherwise, RegistryValueOptions.None);
        public object GetValue(string name, object otherwise, RegistryValueOptions options)
        {
            Alive();
            return Hive.Use(false, hive =>
            {
                var at = hive.Values.FindIndex(v => Is(v, path, name));
                if (at < 0) return otherwise;
                var data = hive.Values[at].Data;
                switch (hive.Values[at].Kind)
                {
                    case RegistryValueKind.DWord: return int.Parse(data, CultureInfo.InvariantCulture);
                    case RegistryValueKind.QWord: return (object)long.Parse(data, CultureInfo.InvariantCulture);
                    case RegistryValueKind.MultiString: return data == "" ? new string[0] : data.Split('\0').Select(Uri.UnescapeDataString).ToArray();
                    case RegistryValueKind.Binary: return Convert.FromBase64String(data);
                    case RegistryValueKind.ExpandString: return options == RegistryValueOptions.None ? System.Environment.ExpandEnvironmentVariables(data) : data;
                    default: return data;
                }
            });
        }
        public void SetValue(string name, object value) => SetValue(name, value, RegistryValueKind.Unknown);
        public void SetValue(string name, object value, RegistryValueKind kind)
        {
            Write();
            if (value == null) throw new ArgumentNullException("value");
            if (kind == RegistryValueKind.Unknown)
                kind = value is int ? RegistryValueKind.DWord : value is byte[] ? RegistryValueKind.Binary : value is string[] ? RegistryValueKind.MultiString : RegistryValueKind.String;
            string data;
            var mismatch = new ArgumentException("The type of the value object did not match the specified RegistryValueKind or the object could not be properly converted.");
            switch (kind)
            {
                case RegistryValueKind.DWord: data = Convert.ToInt32(value, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture); break;
                case RegistryValueKind.QWord: data = Convert.ToInt64(value, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture); break;
                case RegistryValueKind.MultiString: data = string.Join("\0", (value as string[] ?? throw mismatch).Select(Uri.EscapeDataString)); break;
                case RegistryValueKind.Binary: data = Convert.ToBase64String(value as byte[] ?? throw mismatch); break;
                default:
                    if (value is byte[] || value is string[]) throw mismatch;
                    data = Convert.ToString(value, CultureInfo.CurrentCulture);
                    break;
            }
            Hive.Use(true, hive =>
            {
                if (!hive.Keys.ContainsKey(path)) throw new IOException("Illegal operation attempted on a registry key that has been marked for deletion.");
                hive.Values.RemoveAll(v => Is(v, path, name));
                hive.Values.Add((path, name ?? "", kind, data));
                return 0;
            });
        }
        public void DeleteValue(string name) => DeleteValue(name, true);
        public void DeleteValue(string name, bool must)
        {
            Write();
            var gone = Hive.Use(true, hive => hive.Values.RemoveAll(v => Is(v, path, name)));
            if (gone == 0 && must) throw new ArgumentException("No value exists with that name.");
        }
        public void Close() => Dispose();
        public void Dispose() { closed = path.IndexOf('\\') >= 0; }
    }

    public static class Registry
    {
        public static RegistryKey LocalMachine => RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Default);
        public static RegistryKey CurrentUser => RegistryKey.OpenBaseKey(RegistryHive.CurrentUser, RegistryView.Default);
        public static RegistryKey Users => RegistryKey.OpenBaseKey(RegistryHive.Users, RegistryView.Default);
        public static RegistryKey ClassesRoot => RegistryKey.OpenBaseKey(RegistryHive.ClassesRoot, RegistryView.Default);
        public static RegistryKey Open(string path) => RegistryKey.Whole(path, false);
        public static RegistryKey Make(string path) => RegistryKey.Whole(path, true);
        public static object GetValue(string key, string name, object otherwise)
        {
            var found = RegistryKey.Whole(key, false);
            return found == null ? null : found.GetValue(name, otherwise);
        }
        public static void SetValue(string key, string name, object value, RegistryValueKind kind) => RegistryKey.Whole(key, true).SetValue(name, value, kind);
    }
}

namespace Faked.Principal
{
    public abstract class IdentityReference
    {
        public abstract string Value { get; }
        public override string ToString() => Value;
        public override bool Equals(object other) => other is IdentityReference that && that.GetType() == GetType() && that.Value.Equals(Value, StringComparison.OrdinalIgnoreCase);
        public override int GetHashCode() => Value.ToUpperInvariant().GetHashCode();
        public abstract IdentityReference Translate(Type target);
        // Lines of `accounts`: SID, space, name.
        internal static IEnumerable<string[]> Known()
        {
            yield return new[] { "S-1-5-18", "NT AUTHORITY\\SYSTEM" };
            yield return new[] { "S-1-5-32-544", "VORDEFINIERT\\Administratoren" };
            var file = Path.Combine(Place.Root, "accounts");
            if (!File.Exists(file)) yield break;
            foreach (var line in File.ReadAllLines(file)) yield return line.Split(new[] { ' ' }, 2);
        }
    }
    public sealed class IdentityNotMappedException : SystemException
    {
        public IdentityNotMappedException() : base("Some or all identity references could not be translated.") { }
    }
    public sealed class NTAccount : IdentityReference
    {
        readonly string name;
        public NTAccount(string name) { if (string.IsNullOrEmpty(name)) throw new ArgumentException("name"); this.name = name; }
        public NTAccount(string domain, string name) : this(domain + "\\" + name) { }
        public override string Value => name;
        public override IdentityReference Translate(Type target)
        {
            if (target == typeof(NTAccount)) return this;
            foreach (var known in Known())
                if (known[1].Equals(name, StringComparison.OrdinalIgnoreCase) || known[1].EndsWith("\\" + name, StringComparison.OrdinalIgnoreCase)) return new SecurityIdentifier(known[0]);
            throw new IdentityNotMappedException();
        }
    }
    public sealed class SecurityIdentifier : IdentityReference, IComparable<SecurityIdentifier>
    {
        readonly string sid;
        public SecurityIdentifier(string sid)
        {
            if (!System.Text.RegularExpressions.Regex.IsMatch(sid ?? "", "^S-1-[0-9]+(-[0-9]+)+$")) throw new ArgumentException("The SDDL form of a security identifier is not valid.", "sddlForm");
            this.sid = sid;
        }
        public override string Value => sid;
        public SecurityIdentifier AccountDomainSid => sid.StartsWith("S-1-5-21-") ? new SecurityIdentifier(sid.Substring(0, sid.LastIndexOf('-'))) : null;
        public int CompareTo(SecurityIdentifier other) => string.CompareOrdinal(sid, other.sid);
        public override IdentityReference Translate(Type target)
        {
            if (target == typeof(SecurityIdentifier)) return this;
            foreach (var known in Known()) if (known[0] == sid) return new NTAccount(known[1]);
            throw new IdentityNotMappedException();
        }
    }
    public sealed class WindowsIdentity : IDisposable
    {
        public static WindowsIdentity GetCurrent() => new WindowsIdentity();
        public SecurityIdentifier User => new SecurityIdentifier(System.Environment.GetEnvironmentVariable("RMM_FAKE_ME") ?? "S-1-5-21-1-2-3-1001");
        public string Name => "WS-1\\admin";
        public SecurityIdentifier[] Groups => new[] { new SecurityIdentifier("S-1-5-32-544"), new SecurityIdentifier("S-1-5-21-7-7-7-512") };
        public void Dispose() { }
    }
    public enum WindowsBuiltInRole { Administrator = 0x220, User = 0x221 }
    public sealed class WindowsPrincipal
    {
        public WindowsPrincipal(WindowsIdentity identity) { }
        public bool IsInRole(WindowsBuiltInRole role) => true;
    }
}

namespace Faked.Access
{
    using Faked.Principal;
    [Flags] public enum FileSystemRights { Read = 0x20089, Write = 0x116, Modify = 0x301bf, FullControl = 0x1f01ff }
    [Flags] public enum InheritanceFlags { None = 0, ContainerInherit = 1, ObjectInherit = 2 }
    [Flags] public enum PropagationFlags { None = 0, NoPropagateInherit = 1, InheritOnly = 2 }
    public enum AccessControlType { Allow, Deny }
    public sealed class FileSystemAccessRule
    {
        public IdentityReference IdentityReference { get; }
        public FileSystemRights FileSystemRights { get; }
        public InheritanceFlags InheritanceFlags { get; }
        public PropagationFlags PropagationFlags { get; }
        public AccessControlType AccessControlType { get; }
        public bool IsInherited { get; internal set; }
        public FileSystemAccessRule(IdentityReference who, FileSystemRights rights, InheritanceFlags inherit, PropagationFlags spread, AccessControlType type)
        { IdentityReference = who; FileSystemRights = rights; InheritanceFlags = inherit; PropagationFlags = spread; AccessControlType = type; }
    }
    public sealed class DirectorySecurity
    {
        IdentityReference owner;
        readonly List<FileSystemAccessRule> rules = new List<FileSystemAccessRule>();
        public bool AreAccessRulesProtected { get; private set; }
        public void SetAccessRuleProtection(bool protect, bool keep) { AreAccessRulesProtected = protect; if (!keep) rules.RemoveAll(r => r.IsInherited); }
        public void AddAccessRule(FileSystemAccessRule rule) => rules.Add(rule);
        public void SetOwner(IdentityReference who) => owner = who;
        public IdentityReference GetOwner(Type type) => owner.Translate(type);
        public FileSystemAccessRule[] GetAccessRules(bool own, bool inherited, Type type) => rules.ToArray();

        static string Store => Path.Combine(Place.Root, "acl");
        // One line for each folder: path TAB owner TAB protected TAB SIDs.
        public static DirectorySecurity Of(string path)
        {
            path = Path.GetFullPath(path);
            var found = new DirectorySecurity();
            if (File.Exists(Store))
                foreach (var line in File.ReadAllLines(Store).Reverse())
                {
                    var parts = line.Split('\t');
                    if (parts[0] != path) continue;
                    found.owner = new SecurityIdentifier(parts[1]);
                    found.AreAccessRulesProtected = parts[2] == "True";
                    foreach (var sid in parts[3].Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries))
                        found.rules.Add(new FileSystemAccessRule(new SecurityIdentifier(sid), FileSystemRights.FullControl, InheritanceFlags.None, PropagationFlags.None, AccessControlType.Allow));
                    return found;
                }
            found.owner = WindowsIdentity.GetCurrent().User;
            foreach (var sid in new[] { "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545" })
                found.rules.Add(new FileSystemAccessRule(new SecurityIdentifier(sid), FileSystemRights.Read, InheritanceFlags.None, PropagationFlags.None, AccessControlType.Allow) { IsInherited = true });
            return found;
        }
        public void Keep(string path)
        {
            path = Path.GetFullPath(path);
            using (Place.Lock("acl.lock"))
                File.AppendAllText(Store, path + "\t" + (owner ?? WindowsIdentity.GetCurrent().User).Value + "\t" + AreAccessRulesProtected + "\t" + string.Join(" ", rules.Select(r => r.IdentityReference.Value)) + "\n");
        }
    }
    public sealed class DirectoryEntry
    {
        public Hashtable Properties { get; } = new Hashtable();
        public DirectoryEntry(string path)
        {
            var context = System.Environment.GetEnvironmentVariable("RMM_FAKE_FOREST");
            if (context != null) Properties["rootDomainNamingContext"] = new { Value = context };
        }
    }
}

namespace Faked.Pipes
{
    using Faked.Principal;
    using Faked.Access;
    using System.IO.Pipes;
    [Flags] public enum PipeAccessRights { ReadWrite = 0x2019b, FullControl = 0x1f019f }
    public sealed class PipeAccessRule
    {
        public PipeAccessRule(IdentityReference who, PipeAccessRights rights, AccessControlType type) { }
    }
    public sealed class PipeSecurity
    {
        public void AddAccessRule(PipeAccessRule rule) { }
    }
    // The constructor with permissions is of Windows alone.
    public sealed class NamedPipeServerStream : IDisposable
    {
        readonly System.IO.Pipes.NamedPipeServerStream pipe;
        public NamedPipeServerStream(string name, PipeDirection direction, int most, PipeTransmissionMode mode, PipeOptions options, int into, int outOf, PipeSecurity security)
        { pipe = new System.IO.Pipes.NamedPipeServerStream(name, direction, most, mode, options, into, outOf); }
        public IAsyncResult BeginWaitForConnection(AsyncCallback done, object state) => pipe.WaitForConnectionAsync();
        public void EndWaitForConnection(IAsyncResult waiting) => ((System.Threading.Tasks.Task)waiting).GetAwaiter().GetResult();
        public void Write(byte[] bytes, int from, int count) => pipe.Write(bytes, from, count);
        public void WaitForPipeDrain() => pipe.Flush();
        public void Dispose() => pipe.Dispose();
    }
}

namespace Faked.Cryptography
{
    using System.Security.Cryptography;
    public sealed class CngKeyBlobFormat
    {
        public static readonly CngKeyBlobFormat EccPublicBlob = new CngKeyBlobFormat();
    }
    public sealed class CngKey
    {
        internal ECParameters Parameters;
        public static CngKey Import(byte[] blob, CngKeyBlobFormat format)
        {
            if (blob.Length != 72 || Encoding.ASCII.GetString(blob, 0, 4) != "ECS1" || blob[4] != 32) throw new CryptographicException("The parameter is incorrect.");
            return new CngKey { Parameters = new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = blob.Skip(8).Take(32).ToArray(), Y = blob.Skip(40).ToArray() } } };
        }
    }
    public sealed class ECDsaCng : IDisposable
    {
        readonly ECDsa key;
        public ECDsaCng(CngKey from) { key = ECDsa.Create(from.Parameters); }
        public bool VerifyHash(byte[] hash, byte[] signature) => key.VerifyHash(hash, signature);
        public void Dispose() => key.Dispose();
    }
}
