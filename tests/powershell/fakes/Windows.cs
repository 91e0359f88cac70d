// What scripts use of Windows through .NET, as small classes of their own: they take the place of the real ones by name.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Management.Automation;
using System.Security.Principal;
using System.Text.RegularExpressions;
using System.Threading;
using Microsoft.Win32;

namespace Fakes
{
    /// What is to be seen: good, one, silent, absent, denied, hung.
    public static class Mode
    {
        public static string Name = "good";
        public static string Of = "";
        /// Whether it holds for this; the rest is good.
        public static bool Is(string mode, string what)
        {
            return Name == mode && (Of == "" || Regex.IsMatch(what, Of, RegexOptions.IgnoreCase));
        }
    }

    public sealed class Node
    {
        public readonly SortedDictionary<string, Node> Keys = new SortedDictionary<string, Node>(StringComparer.OrdinalIgnoreCase);
        public readonly Dictionary<string, KeyValuePair<object, RegistryValueKind>> Values =
            new Dictionary<string, KeyValuePair<object, RegistryValueKind>>(StringComparer.OrdinalIgnoreCase);
        public bool Denied;

        public Node Below(string path, bool make)
        {
            Node at = this;
            foreach (string word in path.Split(new[] { '\\' }, StringSplitOptions.RemoveEmptyEntries))
            {
                Node next;
                if (!at.Keys.TryGetValue(word, out next))
                {
                    if (!make) return null;
                    at.Keys[word] = next = new Node();
                }
                at = next;
            }
            return at;
        }
    }

    public sealed class RegistryKey : IDisposable
    {
        static readonly Dictionary<string, Node> Hives = new Dictionary<string, Node>();
        readonly Node node;
        readonly string name;
        bool gone;

        RegistryKey(Node node, string name) { this.node = node; this.name = name; }

        public string Name { get { return name; } }

        static Node Hive(string hive)
        {
            lock (Hives)
            {
                Node node;
                if (!Hives.TryGetValue(hive, out node)) Hives[hive] = node = new Node();
                return node;
            }
        }

        public static void Put(string hive, string path, string name, string kind, object value)
        {
            Node node = Hive(hive).Below(path, true);
            if (kind == "") return;
            if (kind == "Denied") { node.Denied = true; return; }
            if (value is PSObject) value = ((PSObject)value).BaseObject;
            if (value is object[]) value = ((object[])value).Select(one => Convert.ToString(one)).ToArray();
            node.Values[name] = new KeyValuePair<object, RegistryValueKind>(value, (RegistryValueKind)Enum.Parse(typeof(RegistryValueKind), kind));
        }

        public static RegistryKey OpenBaseKey(RegistryHive hive, RegistryView view)
        {
            return new RegistryKey(Hive(hive.ToString()), hive.ToString());
        }

        public RegistryKey OpenSubKey(string path) { return OpenSubKey(path, false); }

        public RegistryKey OpenSubKey(string path, bool write)
        {
            Alive();
            if (path == null) throw new ArgumentNullException("name");
            if (Mode.Is("absent", name + "\\" + path)) return null;
            if (Mode.Is("denied", name + "\\" + path)) throw new System.Security.SecurityException("Requested registry access is not allowed.");
            Node found = node.Below(path, false);
            if (found != null && found.Denied) throw new System.Security.SecurityException("Requested registry access is not allowed.");
            return found == null ? null : new RegistryKey(found, name + "\\" + path);
        }

        public RegistryKey CreateSubKey(string path) { Alive(); return new RegistryKey(node.Below(path, true), name + "\\" + path); }
        public object GetValue(string value) { return GetValue(value, null, RegistryValueOptions.None); }
        public object GetValue(string value, object otherwise) { return GetValue(value, otherwise, RegistryValueOptions.None); }

        public object GetValue(string value, object otherwise, RegistryValueOptions options)
        {
            Alive();
            KeyValuePair<object, RegistryValueKind> found;
            if (Mode.Is("silent", name) || !node.Values.TryGetValue(value ?? "", out found)) return otherwise;
            if (found.Value == RegistryValueKind.ExpandString && options == RegistryValueOptions.None)
                return Regex.Replace((string)found.Key, "%SystemRoot%", "C:\\Windows", RegexOptions.IgnoreCase);
            return found.Key;
        }

        public RegistryValueKind GetValueKind(string value)
        {
            Alive();
            KeyValuePair<object, RegistryValueKind> found;
            if (!node.Values.TryGetValue(value ?? "", out found)) throw new System.IO.IOException("The specified registry key does not exist.");
            return found.Value;
        }

        public void SetValue(string value, object data, RegistryValueKind kind)
        {
            Alive();
            node.Values[value ?? ""] = new KeyValuePair<object, RegistryValueKind>(data, kind);
        }

        public void DeleteValue(string value, bool must)
        {
            Alive();
            if (!node.Values.Remove(value) && must) throw new ArgumentException("No value exists with that name.");
        }

        public void DeleteSubKeyTree(string path, bool must)
        {
            Alive();
            int at = path.LastIndexOf('\\');
            Node above = at < 0 ? node : node.Below(path.Substring(0, at), false);
            if ((above == null || !above.Keys.Remove(path.Substring(at + 1))) && must) throw new ArgumentException("Cannot delete a subkey tree because the subkey does not exist.");
        }

        public string[] GetSubKeyNames() { Alive(); return Mode.Is("silent", name) ? new string[0] : node.Keys.Keys.ToArray(); }
        public string[] GetValueNames() { Alive(); return Mode.Is("silent", name) ? new string[0] : node.Values.Keys.ToArray(); }
        public int SubKeyCount { get { return GetSubKeyNames().Length; } }
        public int ValueCount { get { return GetValueNames().Length; } }
        public void Flush() { Alive(); }
        public void Close() { Dispose(); }
        public void Dispose() { gone = true; }
        void Alive() { if (gone) throw new ObjectDisposedException(name, "Cannot access a closed registry key."); }
    }

    public sealed class WindowsIdentity
    {
        public static bool Admin = true;
        public static WindowsIdentity GetCurrent() { return new WindowsIdentity(); }
        public string Name { get { return "PC-1\\kim"; } }
        public SecurityIdentifier User { get { return new SecurityIdentifier("S-1-5-21-1-2-3-1001"); } }
    }

    public sealed class WindowsPrincipal
    {
        public WindowsPrincipal(WindowsIdentity who) { if (who == null) throw new ArgumentNullException("ntIdentity"); }
        public bool IsInRole(WindowsBuiltInRole role) { return role == WindowsBuiltInRole.Administrator && WindowsIdentity.Admin; }
    }

    /// Accounts by name and number, as a German Windows calls them.
    public static class Accounts
    {
        public static readonly string[][] All =
        {
            new[] { "NT-AUTORIT\u00c4T\\SYSTEM", "S-1-5-18" }, new[] { "NT-AUTORIT\u00c4T\\Lokaler Dienst", "S-1-5-19" },
            new[] { "NT-AUTORIT\u00c4T\\Netzwerkdienst", "S-1-5-20" }, new[] { "VORDEFINIERT\\Administratoren", "S-1-5-32-544" },
            new[] { "PC-1\\kim", "S-1-5-21-1-2-3-1001" }, new[] { "PC-1\\Gast", "S-1-5-21-1-2-3-501" },
        };
    }

    public abstract class IdentityReference
    {
        public abstract string Value { get; }
        public abstract IdentityReference Translate(Type type);
        public override string ToString() { return Value; }
    }

    public sealed class SecurityIdentifier : IdentityReference
    {
        readonly string text;
        public SecurityIdentifier(string text)
        {
            if (!Regex.IsMatch(text, "^S-1(-[0-9]+)+$")) throw new ArgumentException("Value was invalid.");
            this.text = text;
        }
        public SecurityIdentifier(byte[] bytes, int at)
        {
            long authority = 0;
            for (int i = 2; i < 8; i++) authority = authority << 8 | bytes[at + i];
            text = "S-1-" + authority;
            for (int i = 0; i < bytes[at + 1]; i++) text += "-" + BitConverter.ToUInt32(bytes, at + 8 + 4 * i);
        }
        public override string Value { get { return text; } }
        public override IdentityReference Translate(Type type)
        {
            string[] found = Accounts.All.FirstOrDefault(one => one[1] == text);
            if (found == null) throw new Exception("Some or all identity references could not be translated.");
            return new NTAccount(found[0]);
        }
    }

    public sealed class NTAccount : IdentityReference
    {
        readonly string text;
        public NTAccount(string text) { this.text = text; }
        public override string Value { get { return text; } }
        public override IdentityReference Translate(Type type)
        {
            string[] found = Accounts.All.FirstOrDefault(one => one[0].Equals(text, StringComparison.OrdinalIgnoreCase) || one[0].EndsWith("\\" + text, StringComparison.OrdinalIgnoreCase));
            if (found == null) throw new Exception("Some or all identity references could not be translated.");
            return new SecurityIdentifier(found[1]);
        }
    }

    /// What `[Environment]` is asked for.
    public static class Environment_
    {
        public static string SystemDirectory = "";
        public static string Startup = "";
        public static string GetFolderPath(Environment.SpecialFolder folder) { return folder == Environment.SpecialFolder.CommonStartup ? Startup : Environment.GetFolderPath(folder); }
        public static void Exit(int code) { Environment.Exit(code); }
        public static string MachineName { get { return "PC-1"; } }
        public static string NewLine { get { return "\r\n"; } }
        public static int TickCount { get { return Environment.TickCount; } }
        public static bool Is64BitOperatingSystem { get { return true; } }
        public static bool Is64BitProcess { get { return true; } }
        public static string GetEnvironmentVariable(string name) { return Environment.GetEnvironmentVariable(name); }
        public static string ExpandEnvironmentVariables(string text) { return Regex.Replace(text, "%SystemRoot%", "C:\\Windows", RegexOptions.IgnoreCase); }
    }

    public sealed class Certificate
    {
        public string Thumbprint { get; set; }
        public string Subject { get; set; }
        public string Issuer { get; set; }
        public DateTime NotAfter { get; set; }
        public bool HasPrivateKey { get; set; }
    }

    public sealed class X509Store
    {
        public static readonly Dictionary<string, Certificate[]> Stores = new Dictionary<string, Certificate[]>();
        readonly string name;
        bool open;
        public X509Store(string name, System.Security.Cryptography.X509Certificates.StoreLocation place) { this.name = name; }
        public void Open(System.Security.Cryptography.X509Certificates.OpenFlags flags)
        {
            if (Mode.Is("absent", "certificates") || !Stores.ContainsKey(name)) throw new System.Security.Cryptography.CryptographicException("The system cannot find the file specified.");
            open = true;
        }
        public IEnumerable Certificates
        {
            get
            {
                if (!open || Mode.Is("silent", "certificates")) return new Certificate[0];
                return Mode.Is("one", "certificates") ? Stores[name].Take(1).ToArray() : Stores[name];
            }
        }
        public void Close() { open = false; }
    }

    /// A member of a group, as ADSI hands it over.
    public sealed class Member
    {
        readonly string path;
        readonly byte[] sid;
        public Member(string path, byte[] sid) { this.path = path; this.sid = sid; }
        public string AdsPath { get { return path; } }
        public byte[] objectSid { get { if (sid == null) throw new Exception("The directory property cannot be found in the cache."); return sid; } }
    }

    public sealed class DirectoryEntry
    {
        public static readonly Dictionary<string, Member[]> Groups = new Dictionary<string, Member[]>(StringComparer.OrdinalIgnoreCase);
        readonly string path;
        public DirectoryEntry(string path) { this.path = path; }
        public object Invoke(string method, params object[] with)
        {
            Member[] found;
            if (method != "Members" || !Groups.TryGetValue(path, out found)) throw new Exception("The group name could not be found.");
            return Mode.Is("silent", "members") ? new Member[0] : Mode.Is("one", "members") ? found.Take(1).ToArray() : found;
        }
    }

    public enum NativeErrorCode { Ok = 0, Failed = 1, AccessDenied = 2, InvalidNamespace = 3, InvalidClass = 5, NotFound = 6, NotSupported = 7, InvalidProperty = 12, InvalidQuery = 15 }

    public sealed class CimException : Exception
    {
        public CimException(string text, NativeErrorCode code) : base(text) { NativeErrorCode = code; }
        public NativeErrorCode NativeErrorCode { get; private set; }
    }

    /// A property of an instance beside its value.
    public sealed class CimProperty
    {
        public string Name { get; set; }
        public object Value { get; set; }
    }

    public sealed class CimProperties : IEnumerable
    {
        readonly List<CimProperty> all;
        public CimProperties(List<CimProperty> all) { this.all = all; }
        public CimProperty this[string name] { get { return all.FirstOrDefault(one => one.Name.Equals(name, StringComparison.OrdinalIgnoreCase)); } }
        public IEnumerator GetEnumerator() { return all.GetEnumerator(); }
    }

    /// The classes, by `namespace:class`.
    public static class Cim
    {
        public static readonly Dictionary<string, Hashtable[]> Classes = new Dictionary<string, Hashtable[]>(StringComparer.OrdinalIgnoreCase);
        public static readonly HashSet<string> Namespaces = new HashSet<string>(StringComparer.OrdinalIgnoreCase);

        public static void Set(string space, string name, object[] instances)
        {
            Namespaces.Add(space);
            Classes[space + ":" + name] = instances.Select(one => (Hashtable)(one is PSObject ? ((PSObject)one).BaseObject : one)).ToArray();
        }

        public static bool Matches(Hashtable one, string filter)
        {
            Match said = Regex.Match(filter, "^\\s*(\\w+)\\s*(=|LIKE)\\s*(.+?)\\s*$", RegexOptions.IgnoreCase);
            if (!said.Success) throw new CimException("Invalid query", NativeErrorCode.InvalidQuery);
            string wanted = said.Groups[3].Value.Trim('\'', '"').Replace("\\\\", "\\");
            object given = one[said.Groups[1].Value];
            if (given is PSObject) given = ((PSObject)given).BaseObject;
            if (said.Groups[2].Value == "=") return string.Equals(Convert.ToString(given, System.Globalization.CultureInfo.InvariantCulture), wanted, StringComparison.OrdinalIgnoreCase);
            string pattern = "^" + Regex.Escape(wanted).Replace("%", ".*").Replace("_", ".") + "$";
            return Regex.IsMatch(Convert.ToString(given), pattern, RegexOptions.IgnoreCase);
        }
    }

    [Cmdlet("Get", "CimInstance")]
    public sealed class GetCimInstanceCommand : PSCmdlet
    {
        [Parameter] public string Namespace { get; set; }
        [Parameter(Position = 0, Mandatory = true)] public string ClassName { get; set; }
        [Parameter] public string[] Property { get; set; }
        [Parameter] public string Filter { get; set; }
        [Parameter] public uint OperationTimeoutSec { get; set; }

        void Fail(string text, NativeErrorCode code, string id, ErrorCategory category)
        {
            WriteError(new ErrorRecord(new CimException(text, code), id, category, null));
        }

        protected override void ProcessRecord()
        {
            string space = (Namespace ?? "root/cimv2").Replace('\\', '/');
            string key = space + ":" + ClassName;
            if (Mode.Is("hung", key)) Thread.Sleep(600000);
            if (Mode.Is("denied", key)) { Fail("Access denied ", NativeErrorCode.AccessDenied, "HRESULT 0x80041003", ErrorCategory.PermissionDenied); return; }
            if (Mode.Is("broken", key)) { Fail("Provider load failure ", NativeErrorCode.Failed, "HRESULT 0x80041013", ErrorCategory.NotSpecified); return; }
            if (!Cim.Namespaces.Contains(space) || Mode.Is("absent", key) && space != "root/cimv2")
            {
                Fail("Invalid namespace ", NativeErrorCode.InvalidNamespace, "HRESULT 0x8004100e", ErrorCategory.MetadataError);
                return;
            }
            Hashtable[] all;
            if (!Cim.Classes.TryGetValue(key, out all) || Mode.Is("absent", key))
            {
                Fail("Invalid class ", NativeErrorCode.InvalidClass, "HRESULT 0x80041010", ErrorCategory.MetadataError);
                return;
            }
            if (Mode.Is("silent", key)) return;
            var found = all.Where(one => Filter == null || Cim.Matches(one, Filter)).ToArray();
            if (Mode.Is("one", key)) found = found.Take(1).ToArray();
            if (Property != null && all.Length > 0)
                foreach (string wanted in Property)
                    if (!all[0].ContainsKey(wanted)) { Fail("Invalid query ", NativeErrorCode.InvalidQuery, "HRESULT 0x80041017", ErrorCategory.InvalidArgument); return; }
            foreach (Hashtable one in found)
            {
                var answer = new PSObject();
                var properties = new List<CimProperty>();
                foreach (string name in one.Keys)
                {
                    object value = one[name];
                    if (value is PSObject) value = ((PSObject)value).BaseObject;
                    if (Property != null && !Property.Contains(name, StringComparer.OrdinalIgnoreCase)) value = null;
                    if (Mode.Is("null", key)) value = null;
                    properties.Add(new CimProperty { Name = name, Value = value });
                    answer.Properties.Add(new PSNoteProperty(name, value));
                }
                answer.Properties.Add(new PSNoteProperty("CimInstanceProperties", new CimProperties(properties)));
                answer.Properties.Add(new PSNoteProperty("PSComputerName", null));
                answer.TypeNames.Insert(0, "Microsoft.Management.Infrastructure.CimInstance#" + space + "/" + ClassName);
                WriteObject(answer);
            }
        }
    }

    [Cmdlet("Invoke", "CimMethod")]
    public sealed class InvokeCimMethodCommand : PSCmdlet
    {
        [Parameter] public string Namespace { get; set; }
        [Parameter] public string ClassName { get; set; }
        [Parameter] public PSObject InputObject { get; set; }
        [Parameter(Mandatory = true)] public string MethodName { get; set; }
        [Parameter] public IDictionary Arguments { get; set; }
        [Parameter] public uint OperationTimeoutSec { get; set; }

        public static readonly Dictionary<string, Hashtable> Answers = new Dictionary<string, Hashtable>(StringComparer.OrdinalIgnoreCase);

        protected override void ProcessRecord()
        {
            Hashtable found;
            if (Mode.Is("absent", MethodName) || !Answers.TryGetValue(MethodName, out found))
            {
                WriteError(new ErrorRecord(new CimException("Invalid namespace ", NativeErrorCode.InvalidNamespace), "HRESULT 0x8004100e", ErrorCategory.MetadataError, null));
                return;
            }
            var answer = new PSObject();
            foreach (string name in found.Keys) answer.Properties.Add(new PSNoteProperty(name, found[name]));
            WriteObject(answer);
        }
    }
}

namespace Fakes
{
    /// Runspaces begin with what takes the place of COM.
    public static class InitialSessionState
    {
        public static string NewObject = "";
        public static System.Management.Automation.Runspaces.InitialSessionState CreateDefault2()
        {
            var state = System.Management.Automation.Runspaces.InitialSessionState.CreateDefault2();
            state.Commands.Add(new System.Management.Automation.Runspaces.SessionStateFunctionEntry("New-Object", NewObject));
            return state;
        }
    }
}

namespace System.Diagnostics.Eventing.Reader
{
    public enum PathType { LogName = 1, FilePath = 2 }

    public sealed class EventLogQuery
    {
        public readonly string Path;
        public readonly string Filter;
        public EventLogQuery(string path, PathType kind, string filter) { Path = path; Filter = filter; }
        public bool ReverseDirection { get; set; }
    }

    public sealed class EventProperty { public object Value { get; set; } }

    /// A record; of one the text cannot be put together, of one nothing can be read.
    public sealed class EventRecord : IDisposable
    {
        readonly int n;
        bool gone;
        public EventRecord(string log, int n) { this.n = n; Security = log == "Security"; }
        readonly bool Security;
        T Alive<T>(T value) { if (gone) throw new ObjectDisposedException("EventRecord"); return value; }
        public long? RecordId { get { return Alive(n); } }
        public int Id { get { if (n == 105) throw new Exception("The parameter is incorrect"); return Alive(4000 + n); } }
        public byte? Level { get { return Security ? (byte)0 : (byte)(n % 5); } }
        public long? Keywords { get { return n == 104 ? (long?)null : Security && n % 2 == 1 ? unchecked((long)0x8010000000000000) : 0; } }
        public string LevelDisplayName { get { if (n == 106) throw new Exception("The publisher metadata cannot be found"); return "Fehler"; } }
        public string TaskDisplayName { get { return null; } }
        public string ProviderName { get { return "Dienst"; } }
        public string MachineName { get { return "pc-1.example.com"; } }
        public DateTime? TimeCreated { get { return Alive(Events.Start.AddSeconds(n)); } }
        public EventProperty[] Properties { get { return new[] { new EventProperty { Value = "a" }, new EventProperty { Value = 7 }, new EventProperty() }; } }
        public string FormatDescription()
        {
            if (n == 103) throw new Exception("The description string for parameter reference (%1) could not be found");
            if (n == 108 && System.Threading.Thread.CurrentThread.CurrentCulture.Name != "en-US") return null;
            if (n == 107) return new string('x', 1999) + "\ud83d\ude00";
            return "Zeile eins\r\nzwei f\u00fcr " + n + " \ud83d\ude00";
        }
        public void Dispose() { gone = true; }
    }

    public static class Events
    {
        public static DateTime Start = new DateTime(2026, 11, 22, 6, 0, 0, DateTimeKind.Utc).ToLocalTime();
        public static int First = 101;
        public static int Last = 110;
    }

    public sealed class EventLogReader : IDisposable
    {
        readonly Collections.Generic.Queue<EventRecord> all;
        public int BatchSize { get; set; }

        public EventLogReader(EventLogQuery query)
        {
            if (Fakes.Mode.Is("denied", query.Path)) throw new UnauthorizedAccessException("Attempted to perform an unauthorized operation.");
            if (Fakes.Mode.Is("absent", query.Path)) throw new Exception("The specified channel could not be found.");
            int last = Fakes.Mode.Is("silent", query.Path) ? 0 : Fakes.Mode.Is("one", query.Path) ? Events.First : Events.Last;
            var found = new Collections.Generic.List<EventRecord>();
            var after = Text.RegularExpressions.Regex.Match(query.Filter, "^\\*\\[System\\[\\(EventRecordID>(\\d+)\\) and \\(((?:Level=\\d(?: or )?)*)(band\\(Keywords,4503599627370496\\))?\\)\\]\\]$");
            var exact = Text.RegularExpressions.Regex.Match(query.Filter, "^\\*\\[System\\[\\(EventRecordID=(\\d+)\\)\\]\\]$");
            if (query.Filter != "*" && !after.Success && !exact.Success) throw new Exception("The specified query is invalid: " + query.Filter);
            for (int n = Events.First; n <= last; n++)
            {
                var record = new EventRecord(query.Path, n);
                bool fits = !after.Success || n > long.Parse(after.Groups[1].Value)
                    && (after.Groups[2].Value.Contains("Level=" + record.Level) || after.Groups[3].Success && ((record.Keywords ?? 0) & 4503599627370496) != 0);
                if (exact.Success) fits = n == long.Parse(exact.Groups[1].Value);
                if (fits) found.Add(record);
            }
            if (query.ReverseDirection) found.Reverse();
            all = new Collections.Generic.Queue<EventRecord>(found);
        }

        public EventRecord ReadEvent() { return all.Count == 0 ? null : all.Dequeue(); }
        public void Dispose() { }
    }
}
